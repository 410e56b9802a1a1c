// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Guests;

/// <content>Made by eng/record-golden --properties; not edited by hand.</content>
internal static partial class QemuDeviceProperties
{
    private const string Table = """
        + a20[0] extended-state i8042-cmd[0] i8042-data[0] kbd-irq kbd-throttle mouse-irq ps2-kbd-input-irq[0] ps2-mouse-input-irq[0] ps2kbd
        . ps2mouse unnamed-gpio-out[0] unnamed-gpio-out[1]
        + account-failed account-invalid backend_defaults discard_granularity logical_block_size min_io_size opt_io_size physical_block_size
        . write-cache
        + acpi-index failover_pair_id multifunction rombar romfile romsize x-pcie-extcap-init x-pcie-lnksta-dllla
        + addr
        + address
        + aer ats migrate-extra modern-pio-notify page-per-vq virtio-backend virtio-pci-bus-master-bug-migration x-ats-page-aligned
        . x-ignore-backend-features x-pcie-deverr-init x-pcie-lnkctl-init x-pcie-pm-init
        + aer_log_max
        + aer_max_queued aerl cmb_size_mb max_ioqpairs mdts msix-exclusive-bar msix_qsize pmrdev smart_critical_warning sriov_max_vfs
        . sriov_max_vi_per_vf sriov_max_vq_per_vf sriov_vi_flexible sriov_vq_flexible use-intel-id vsl zoned.auto_transition zoned.zasl
        + ahci-idp[0] ahci[0]
        + always-plugged
        + any_layout event_idx indirect_desc iommu_platform notify_on_empty packed queue_reset use-disabled-flag use-started
        . x-disable-legacy-check
        + atomic.awun atomic.awupf atomic.dn ctratt.mem dbcs mqes ocp spdm_port
        + attached msos-desc pcap
        + audiodev
        + autonegotiation mitigation
        + aw-bits
        + backend cert1 cert2 cert3 db
        + bandwidth
        + base_year lost_tick_policy
        + baudbase wakeup
        + big-endian-framebuffer
        + bios-chs-trans
        + blitter
        + blob max_hostmem
        + block-size prealloc requested-size unplugged-inaccessible
        + bmc
        + boot-bypass primary-bus
        + boot_tpgt t10_pi
        + bootargs initrd kernel
        + bootindex
        + bootindexA bootindexB fallback fdtypeA fdtypeB
        + buffer multi
        + bus-reserve io-reserve mem-reserve pref32-reserve pref64-reserve
        + bus_nr bypass_iommu numa_node
        + busnr x-max-bounce-buffer-size x-pcie-ari-nextfn-1 x-pcie-err-unc-mask x-pcie-ext-tag
        + caching-mode dma-drain dma-translation eim snoop-control x-buggy-eim x-pasid-mode x-scalable-mode
        + cad mixer use-timer
        + canbus
        + canbus0 canbus1
        + capabilities[0] ehci[0] operational[0] ports[0]
        + capareg maxcurr sd-spec-version uhs
        + cdat
        + channel scsi-id
        + chardev
        + chardev0 chardev5 chardev6 chardev7
        + chardev1 chardev2
        + chardev3 chardev4
        + chassis
        + chassis_nr shpc
        + chmaps jacks
        + class
        + cmd_per_lun max_sectors virtqueue_size
        + cmdlog guestdebug ram_size ram_size_mb revision surfaces vram64_size_mb vram_size vram_size_mb
        + commandlog
        + conditional-intr-mapping
        + config-wce discard num-queues write-zeroes
        + controls
        + cpu-num data data-be data-len file force-raw
        + cryptodev
        + cs4231a[0]
        + csum ctrl_guest_offloads ctrl_mac_addr ctrl_rx ctrl_rx_extra ctrl_vlan ctrl_vq duplex failover gso guest_announce guest_csum guest_ecn
        . guest_rsc_ext guest_tso4 guest_tso6 guest_ufo hash host_ecn host_mtu host_tso4 host_tso6 host_ufo mq mrg_rxbuf rsc_interval rss
        . rx_queue_size speed status tx tx_queue_size x-mtu-bypass-backend x-txburst x-txtimer
        + cyls heads lcyls lheads lsecs secs
        + debug
        + deflate-on-oom free-page-hint free-page-reporting guest-stats guest-stats-polling-interval page-poison qemu-4-0-config-size
        + desc readonly rootdir
        + detached eui64 eui64-default mcl ms mset msrc mssrl nsid pi pif pil shared zoned zoned.cross_read zoned.descr_ext_size
        . zoned.max_active zoned.max_open zoned.numzrwa zoned.zone_capacity zoned.zone_size zoned.zrwafg zoned.zrwas
        + dev-caps-max-ah dev-caps-max-cq dev-caps-max-mr dev-caps-max-mr-size dev-caps-max-pd dev-caps-max-qp dev-caps-max-qp-init-rd-atom
        . dev-caps-max-srq dev-caps-qp-rd-atom ibdev ibport mad-chardev
        + device-iotlb intremap pt
        + device_id
        + device_rev fruareasize frudatafile fwrev1 fwrev2 ipmi_version mfg_id product_id sdrfile
        + disable-acs
        + disable-custom-mode force-secure-boot jsonfile uefi-vars[0] use-pio
        + disable-legacy disable-modern
        + disable_vnet_hdr subsys_ven
        + display
        + dma
        + dma16
        + dma_mask
        + dpofua
        + drive
        + drive-type
        + dynamic-memslots x-early-migration
        + ebpf-rss-fds guest_uso4 guest_uso6 host_uso
        + edid
        + emergency-write max_ports
        + enable-migration iommufd migration-events skip-vsc-check vf-token x-device-dirty-page-tracking x-igd-legacy-mode x-igd-lpc
        . x-migration-multifd-transfer
        + endianness
        + esp
        + evdev
        + events
        + extra_mac_registers migrate_tso_props
        + fd
        + fdp fdp.nrg fdp.nruh fdp.runs
        + fdp.ruhs nguid
        + filter
        + firstport masterbus
        + force-pcie-endcap superspeed-ports-first
        + fp_start_macaddr switch_id world
        + freq
        + frontend-id
        + fs1gp stale-tm x-flts
        + fsdev mount_tag
        + global-vmstate
        + granule
        + guest-cid
        + guest-reset guest-resets-all hostaddr hostbus hostdevice hostport isobsize isobufs loglevel pipeline productid vendorid
        + guest_hwcursor x-device-id x-pixman
        + guid
        + hba_serial max_cmds max_sge use_jbod
        + hdm_for_passthrough
        + head
        + hidraw
        + host
        + host_ip host_port use_hcalls
        + hostmem x-scanout-vmstate-version
        + hotplug
        + i8042
        + idx
        + in_order
        + index
        + init-vet
        + instanceid status-report
        + intrs slots
        + io_timeout
        + iobase
        + iobase2
        + ioeventfd
        + ioport
        + iosize
        + iothread
        + iothread-vq-mapping
        + irq
        + isa-irq[0] isa-irq[1]
        + label-size unarmed
        + len-ports
        + len-reserved-regions
        + log-scsi-req
        + lsa
        + lun
        + mac
        + master
        + max-bytes period rng
        + max-discard-sectors max-write-zeroes-sectors report-discard-granularity request-merging seg-max-adjust x-enable-wce-if-config-wce
        + max-ring-page-order vdev
        + max_io_size scsi_version
        + max_outputs
        + max_unmap_size
        + maxframes
        + mcq mcq-maxq nutmrs nutrs
        + memaddr
        + membar
        + memdev
        + migratable wwpn
        + migrate-emulated-scsi-request
        + migrate-timadj
        + mmio
        + model
        + msi
        + msix
        + name
        + netdev
        + node
        + nqn
        + nr
        + num-dc-regions persistent-memdev volatile-dc-memdev volatile-memdev
        + num-ports
        + num-request-queues tag
        + num_queues
        + old_msi_addr
        + osk
        + p2 p3 xhci-core
        + param_change
        + port
        + port-power
        + port_index port_wwn product quirk_mode_page_vendor_specific_apple
        + ports
        + power_controller_present
        + ppi tpmdev
        + prog_if
        + pvpanic[0]
        + qemu-extended-regs
        + queue-size
        + quirk_mode_page_apple_vendor quirk_mode_page_truncated quirk_mode_sense_rom_use_dbd
        + ramfb
        + readback
        + record_size
        + refresh_rate xmax ymax
        + removable
        + rerror werror
        + reserved-regions
        + rotation_rate
        + sas_address
        + scsi
        + seg_max_adjust
        + seqpacket
        + serial
        + serial[0] serial[1]
        + serial[2] serial[3]
        + share-rw
        + size
        + slave_addr
        + slot
        + sn
        + spec_version
        + spi
        + stats
        + streams
        + subsys
        + suppress-remote-wake
        + sysfsdev x-balloon-allowed x-igd-gms x-igd-opregion x-intx-mmap-timeout-ms x-msix-relocation x-no-geforce-quirks x-no-kvm-intx
        . x-no-kvm-ioeventfd x-no-kvm-msi x-no-kvm-msix x-no-mmap x-no-vfio-ioeventfd x-nv-gpudirect-clique x-pci-device-id x-pci-sub-device-id
        . x-pci-sub-vendor-id x-pci-vendor-id x-pre-copy-dirty-page-tracking x-req x-vga
        + target
        + tpm-tis-mmio[0]
        + unit
        + usb_version
        + use_msg x-old-pci-configuration
        + uuid
        + vectors
        + vendor
        + ver wwn
        + version
        + vgamem
        + vgamem_mb
        + vhostdev
        + vhostfd
        + wheel-axis
        + win2k-install-hack
        + worker_per_virtqueue
        + x-disable-pcie
        + x-do-not-expose-native-hotplug-cap
        + x-enable-migration
        + x-migrate
        + x-migrate-msix
        + x-native-hotplug
        + x-old-msi-offsets
        + x-pci-express-writeable-slt-bug
        + x-pcie-flr-init
        + x-pcie-pm-no-soft-reset
        + x-ramfb-migrate
        + x-speed x-width
        + xres yres
        + xtsup
        @ 7.2 AC97 2 3 13
        @ 10.0 AC97 2 3 13 34
        @ 7.2 AMDVI-PCI 2 3
        @ 10.0 AMDVI-PCI 2 3 34
        @ 7.2 ES1370 2 3 13
        @ 10.0 ES1370 2 3 13 34
        @ 7.2 VGA 2 3 20 83 102 155 180 186 221 239
        @ 10.0 VGA 2 3 20 34 83 102 155 180 186 221 239
        @ 7.2 acpi-erst 2 3 151 185
        @ 10.0 acpi-erst 2 3 34 151 185
        @ 7.2 10.0 adlib 13 98 124
        @ 7.2 am53c974 2 3 87
        @ 10.0 am53c974 2 3 34 87
        @ 7.2 amd-iommu 67
        @ 10.0 amd-iommu 67 240
        @ 7.2 ati-vga 2 3 106 156 221
        @ 10.0 ati-vga 2 3 34 106 156 221
        @ 7.2 bochs-display 2 3 20 83 186 220 239
        @ 10.0 bochs-display 2 3 20 34 83 186 220 239
        @ 7.2 10.0 ccid-card-emulated 16 62 201
        @ 7.2 10.0 ccid-card-passthru 43 62 201
        @ 7.2 cirrus-vga 2 3 22 102 221
        @ 10.0 cirrus-vga 2 3 22 34 102 221
        @ 7.2 10.0 cs4231a 13 59 75 124 131
        @ 7.2 ctucan_pci 2 3 38
        @ 10.0 ctucan_pci 2 3 34 38
        @ 7.2 cxl-downstream 2 3 6 47 115 172 201 232
        @ 10.0 cxl-downstream 2 3 6 34 47 115 172 201 228 234 238
        @ 7.2 cxl-rp 2 3 6 32 47 70 115 172 176 201 232
        @ 10.0 cxl-rp 2 3 6 32 34 47 70 115 172 176 201 228 234 238
        @ 10.0 cxl-switch-mailbox-cci 2 3 34 210
        @ 7.2 cxl-type3 2 3 41 137 151 202
        @ 10.0 cxl-type3 2 3 34 41 137 151 164 202 238
        @ 7.2 cxl-upstream 2 3 6 41 172
        @ 10.0 cxl-upstream 2 3 6 34 41 172 202 234 238
        @ 7.2 dc390 2 3 87
        @ 10.0 dc390 2 3 34 87
        @ 7.2 e1000 2 3 14 29 90 120 139 160
        @ 10.0 e1000 2 3 29 34 90 120 139 160
        @ 7.2 e1000-82544gc 2 3 14 29 90 120 139 160
        @ 10.0 e1000-82544gc 2 3 29 34 90 120 139 160
        @ 7.2 e1000-82545em 2 3 14 29 90 120 139 160
        @ 10.0 e1000-82545em 2 3 29 34 90 120 139 160
        @ 7.2 e1000e 2 3 29 73 120 139 160 207
        @ 10.0 e1000e 2 3 29 34 73 120 139 154 160 207
        @ 7.2 edu 2 3 77
        @ 10.0 edu 2 3 34 77
        @ 7.2 10.0 floppy 1 79 80 198 212
        @ 7.2 10.0 guest-loader 3 28
        @ 7.2 10.0 gus 13 75 98 124 131
        @ 7.2 10.0 hda-duplex 13 36 62
        @ 7.2 10.0 hda-micro 13 36 62
        @ 7.2 10.0 hda-output 13 36 62
        @ 10.0 hv-balloon 3 121 151
        @ 7.2 10.0 hv-syndbg 113
        @ 7.2 10.0 i2c-ddc 4 186 239
        @ 10.0 i2c-echo 4
        @ 7.2 i6300esb 2 3
        @ 10.0 i6300esb 2 3 34
        @ 7.2 10.0 i8042 0
        @ 7.2 i82550 2 3 29 139 160
        @ 10.0 i82550 2 3 29 34 139 160
        @ 7.2 i82551 2 3 29 139 160
        @ 10.0 i82551 2 3 29 34 139 160
        @ 7.2 i82557a 2 3 29 139 160
        @ 10.0 i82557a 2 3 29 34 139 160
        @ 7.2 i82557b 2 3 29 139 160
        @ 10.0 i82557b 2 3 29 34 139 160
        @ 7.2 i82557c 2 3 29 139 160
        @ 10.0 i82557c 2 3 29 34 139 160
        @ 7.2 i82558a 2 3 29 139 160
        @ 10.0 i82558a 2 3 29 34 139 160
        @ 7.2 i82558b 2 3 29 139 160
        @ 10.0 i82558b 2 3 29 34 139 160
        @ 7.2 i82559a 2 3 29 139 160
        @ 10.0 i82559a 2 3 29 34 139 160
        @ 7.2 i82559b 2 3 29 139 160
        @ 10.0 i82559b 2 3 29 34 139 160
        @ 7.2 i82559c 2 3 29 139 160
        @ 10.0 i82559c 2 3 29 34 139 160
        @ 7.2 i82559er 2 3 29 139 160
        @ 10.0 i82559er 2 3 29 34 139 160
        @ 7.2 i82562 2 3 29 139 160
        @ 10.0 i82562 2 3 29 34 139 160
        @ 7.2 i82801 2 3 29 139 160
        @ 10.0 i82801 2 3 29 34 139 160
        @ 7.2 i82801b11-bridge 2 3
        @ 10.0 i82801b11-bridge 2 3 34 234
        @ 7.2 ich9-ahci 2 3 8
        @ 10.0 ich9-ahci 2 3 8 34
        @ 7.2 ich9-intel-hda 2 3 62 157 168
        @ 10.0 ich9-intel-hda 2 3 34 62 157 168
        @ 7.2 ich9-usb-ehci1 2 3 39 147
        @ 10.0 ich9-usb-ehci1 2 3 34 39 147
        @ 7.2 ich9-usb-ehci2 2 3 39 147
        @ 10.0 ich9-usb-ehci2 2 3 34 39 147
        @ 7.2 ich9-usb-uhci1 2 3 17 95 147
        @ 10.0 ich9-usb-uhci1 2 3 17 34 95 147
        @ 7.2 ich9-usb-uhci2 2 3 17 95 147
        @ 10.0 ich9-usb-uhci2 2 3 17 34 95 147
        @ 7.2 ich9-usb-uhci3 2 3 17 95 147
        @ 10.0 ich9-usb-uhci3 2 3 17 34 95 147
        @ 7.2 ich9-usb-uhci4 2 3 17 95 147
        @ 10.0 ich9-usb-uhci4 2 3 17 34 95 147
        @ 7.2 ich9-usb-uhci5 2 3 17 95 147
        @ 10.0 ich9-usb-uhci5 2 3 17 34 95 147
        @ 7.2 ich9-usb-uhci6 2 3 17 95 147
        @ 10.0 ich9-usb-uhci6 2 3 17 34 95 147
        @ 7.2 ide-cd 1 29 79 156 188 195 198 212 218
        @ 10.0 ide-cd 1 29 79 156 188 195 198 212 218 225
        @ 10.0 ide-cf 1 21 29 61 79 156 188 195 198 212 218 225
        @ 7.2 ide-hd 1 21 29 61 79 156 188 190 195 198 212 218
        @ 10.0 ide-hd 1 21 29 61 79 156 188 190 195 198 212 218 225
        @ 10.0 igb 2 3 29 34 139 160 235
        @ 7.2 intel-hda 2 3 62 157 168
        @ 10.0 intel-hda 2 3 34 62 157 168
        @ 7.2 intel-iommu 15 35 67 219
        @ 10.0 intel-iommu 15 35 67 100 219
        @ 7.2 ioh3420 2 3 6 47 70 115 172 176 201 232
        @ 10.0 ioh3420 2 3 6 34 47 70 115 172 176 201 228 234
        @ 7.2 10.0 ipmi-bmc-extern 43 200
        @ 7.2 10.0 ipmi-bmc-sim 68 69 107 200
        @ 7.2 10.0 ipoctal232 44 45 46 201
        @ 7.2 10.0 isa-applesmc 124 169
        @ 7.2 10.0 isa-cirrus-vga 22 221
        @ 7.2 10.0 isa-debug-exit 124 128
        @ 7.2 10.0 isa-debugcon 43 124 184
        @ 7.2 10.0 isa-fdc 30 75 124 131
        @ 7.2 10.0 isa-ide 124 125 131
        @ 7.2 10.0 isa-ipmi-bt 25 127 131
        @ 7.2 10.0 isa-ipmi-kcs 25 127 131
        @ 7.2 10.0 isa-parallel 43 119 124 131
        @ 7.2 10.0 isa-serial 19 43 119 124 131 195
        @ 7.2 10.0 isa-vga 221
        @ 7.2 ivshmem-doorbell 2 3 43 126 140 216
        @ 10.0 ivshmem-doorbell 2 3 34 43 126 140 216
        @ 7.2 ivshmem-plain 2 3 140 151
        @ 10.0 ivshmem-plain 2 3 34 140 151
        @ 7.2 kvaser_pci 2 3 37
        @ 10.0 kvaser_pci 2 3 34 37
        @ 7.2 10.0 loader 3 57
        @ 7.2 lsi53c810 2 3
        @ 10.0 lsi53c810 2 3 34
        @ 7.2 lsi53c895a 2 3
        @ 10.0 lsi53c895a 2 3 34
        @ 7.2 10.0 mc146818rtc 18 124 131
        @ 7.2 megasas 2 3 108 157 158 191
        @ 10.0 megasas 2 3 34 108 157 158 191
        @ 7.2 megasas-gen2 2 3 108 157 158 191
        @ 10.0 megasas-gen2 2 3 34 108 157 158 191
        @ 7.2 mioe3680_pci 2 3 38
        @ 10.0 mioe3680_pci 2 3 34 38
        @ 7.2 mptsas1068 2 3 157 191
        @ 10.0 mptsas1068 2 3 34 157 191
        @ 7.2 10.0 ne2k_isa 29 124 131 139 160
        @ 7.2 ne2k_pci 2 3 29 139 160
        @ 10.0 ne2k_pci 2 3 29 34 139 160
        @ 7.2 nec-usb-xhci 2 3 96 112 122 157 158 170 206
        @ 10.0 nec-usb-xhci 2 3 34 54 112 122 157 158 170 206
        @ 7.2 10.0 nvdimm 3 133 151 161 199 201 215
        @ 7.2 nvme 1 2 3 7 29 79 126 167 195 198 207
        @ 10.0 nvme 1 2 3 7 11 29 34 79 126 167 195 198 207
        @ 7.2 nvme-ns 1 29 65 79 198 215
        @ 10.0 nvme-ns 1 29 65 79 93 198 215
        @ 7.2 nvme-subsys 162
        @ 10.0 nvme-subsys 92 162
        @ 7.2 10.0 pc-dimm 3 151 161 199 201
        @ 7.2 pci-bridge 2 3 32 48 157
        @ 10.0 pci-bridge 2 3 32 34 48 157 234
        @ 7.2 pci-bridge-seat 2 3 32 48 157
        @ 10.0 pci-bridge-seat 2 3 32 34 48 157 234
        @ 7.2 pci-ipmi-bt 2 3 25
        @ 10.0 pci-ipmi-bt 2 3 25 34
        @ 7.2 pci-ipmi-kcs 2 3 25
        @ 10.0 pci-ipmi-kcs 2 3 25 34
        @ 7.2 pci-ohci 2 3 95 165
        @ 10.0 pci-ohci 2 3 34 95 165
        @ 7.2 pci-serial 2 3 19 43 178 195
        @ 10.0 pci-serial 2 3 19 34 43 178 195
        @ 7.2 pci-serial-2x 2 3 45 178 196
        @ 10.0 pci-serial-2x 2 3 34 45 178 196
        @ 7.2 pci-serial-4x 2 3 45 46 178 196 197
        @ 10.0 pci-serial-4x 2 3 34 45 46 178 196 197
        @ 7.2 pci-testdev 2 3 150
        @ 10.0 pci-testdev 2 3 34 150
        @ 7.2 pcie-pci-bridge 2 3 157
        @ 10.0 pcie-pci-bridge 2 3 34 157 234
        @ 7.2 pcie-root-port 2 3 6 32 47 70 115 172 176 201 231 232 238
        @ 10.0 pcie-root-port 2 3 6 32 34 47 70 115 172 176 201 228 231 234 238
        @ 7.2 pcm3680_pci 2 3 38
        @ 10.0 pcm3680_pci 2 3 34 38
        @ 7.2 pcnet 2 3 29 139 160
        @ 10.0 pcnet 2 3 29 34 139 160
        @ 7.2 piix3-ide 2 3
        @ 10.0 piix3-ide 2 3 34 132
        @ 7.2 piix3-usb-uhci 2 3 17 147
        @ 10.0 piix3-usb-uhci 2 3 17 34 147
        @ 7.2 piix4-ide 2 3
        @ 10.0 piix4-ide 2 3 34 132
        @ 7.2 piix4-usb-uhci 2 3 17 147
        @ 10.0 piix4-usb-uhci 2 3 17 34 147
        @ 7.2 10.0 pvpanic 89 127 179
        @ 7.2 pvpanic-pci 2 3 89
        @ 10.0 pvpanic-pci 2 3 34 89
        @ 7.2 pvrdma 2 3 66 160
        @ 7.2 pvscsi 2 3 214 227
        @ 10.0 pvscsi 2 3 34 214 227
        @ 7.2 pxb 2 3 33
        @ 10.0 pxb 2 3 33 34
        @ 7.2 pxb-cxl 2 3 33
        @ 10.0 pxb-cxl 2 3 33 34 109
        @ 7.2 pxb-pcie 2 3 33
        @ 10.0 pxb-pcie 2 3 33 34
        @ 7.2 qemu-xhci 2 3 112 170 206
        @ 10.0 qemu-xhci 2 3 34 54 112 157 158 170 206
        @ 7.2 qxl 2 3 52 62 102 145 221 239
        @ 7.2 qxl-vga 2 3 52 62 102 145 221 239
        @ 10.0 ramfb 230
        @ 7.2 rocker 2 3 97 134 159
        @ 10.0 rocker 2 3 34 97 159 175
        @ 7.2 rtl8139 2 3 29 139 160
        @ 10.0 rtl8139 2 3 29 34 139 160
        @ 7.2 10.0 sb16 13 75 76 124 131 219
        @ 7.2 10.0 scsi-block 29 42 79 123 138 144 146 188 190 198
        @ 7.2 scsi-cd 1 29 42 68 79 138 144 174 182 188 195 198 217 218
        @ 10.0 scsi-cd 1 29 42 68 79 138 144 153 174 182 188 195 198 217 218
        @ 7.2 10.0 scsi-generic 29 42 79 123 138 198
        @ 7.2 scsi-hd 1 29 42 61 68 78 79 138 144 146 174 187 188 190 195 198 217 218
        @ 10.0 scsi-hd 1 29 42 61 68 78 79 138 144 146 153 174 187 188 190 195 198 217 218
        @ 7.2 sd-card 79 203 204
        @ 10.0 sd-card 79 203
        @ 10.0 sd-card-spi 79 203
        @ 7.2 sdhci-pci 2 3 40 217
        @ 10.0 sdhci-pci 2 3 34 40 86 217
        @ 7.2 secondary-vga 2 3 20 83 180 186 221 239
        @ 10.0 secondary-vga 2 3 20 34 83 180 186 221 239
        @ 7.2 10.0 smbus-ipmi 4 25
        @ 7.2 tpci200 2 3
        @ 10.0 tpci200 2 3 34
        @ 7.2 10.0 tpm-crb 177
        @ 7.2 10.0 tpm-tis 131 177 211
        @ 7.2 tulip 2 3 29 139 160
        @ 10.0 tulip 2 3 29 34 139 160
        @ 7.2 10.0 u2f-passthru 12 111 172 195
        @ 10.0 uefi-vars-sysbus 71 199
        @ 10.0 uefi-vars-x64 71 199
        @ 10.0 ufs 2 3 34 148 195
        @ 10.0 ufs-lu 79 138
        @ 7.2 10.0 usb-audio 12 13 31 62 172 195
        @ 7.2 10.0 usb-bot 12 172 195
        @ 7.2 10.0 usb-braille 12 43 172 195
        @ 7.2 10.0 usb-ccid 12 62 172 195
        @ 7.2 usb-ehci 2 3 39 147
        @ 10.0 usb-ehci 2 3 34 39 147
        @ 7.2 10.0 usb-host 12 29 105 172 195 208
        @ 7.2 10.0 usb-hub 12 172 173 175 195
        @ 7.2 10.0 usb-kbd 12 74 172 195 213
        @ 7.2 10.0 usb-mouse 12 172 195 213
        @ 7.2 10.0 usb-mtp 12 64 172 195
        @ 7.2 10.0 usb-net 12 29 139 160 172 195
        @ 7.2 10.0 usb-redir 12 29 43 62 94 172 195 206 208
        @ 7.2 10.0 usb-serial 9 12 43 172 195
        @ 7.2 10.0 usb-storage 1 12 29 53 79 172 187 188 195 198
        @ 7.2 10.0 usb-tablet 12 74 110 172 195 213
        @ 7.2 10.0 usb-uas 12 136 172 195
        @ 7.2 10.0 usb-wacom-tablet 12 172 195
        @ 7.2 vfio-pci 2 3 29 74 112 209 229 239
        @ 10.0 vfio-pci 2 3 29 34 74 85 91 112 209 239
        @ 7.2 vfio-pci-igd-lpc-bridge 2 3
        @ 10.0 vfio-pci-igd-lpc-bridge 2 3 34
        @ 7.2 vfio-pci-nohotplug 2 3 29 74 112 183 209 229 239
        @ 10.0 vfio-pci-nohotplug 2 3 29 34 74 85 91 112 183 209 237 239
        @ 7.2 vhost-scsi 10 27 29 51 152 167 193 223
        @ 10.0 vhost-scsi 10 27 29 51 118 152 167 193 223 226
        @ 7.2 vhost-scsi-pci 2 3 5 10 27 29 51 72 152 167 193 216 223 227 235
        @ 10.0 vhost-scsi-pci 2 3 5 10 27 29 34 51 72 118 152 167 193 216 223 226 227 235 236
        @ 7.2 vhost-scsi-pci-non-transitional 2 3 5 10 27 29 51 152 167 193 216 223 227 235
        @ 10.0 vhost-scsi-pci-non-transitional 2 3 5 10 27 29 34 51 118 152 167 193 216 223 226 227 235 236
        @ 7.2 vhost-scsi-pci-transitional 2 3 5 10 27 29 51 152 167 193 216 223 227 235
        @ 10.0 vhost-scsi-pci-transitional 2 3 5 10 27 29 34 51 118 152 167 193 216 223 226 227 235 236
        @ 7.2 vhost-user-blk 10 29 43 55 181
        @ 10.0 vhost-user-blk 10 29 43 55 118 181
        @ 7.2 vhost-user-blk-pci 2 3 5 10 29 43 50 55 72 181 216 227 235
        @ 10.0 vhost-user-blk-pci 2 3 5 10 29 34 43 50 55 72 118 181 216 227 235 236
        @ 7.2 vhost-user-blk-pci-non-transitional 2 3 5 10 29 43 50 55 181 216 227 235
        @ 10.0 vhost-user-blk-pci-non-transitional 2 3 5 10 29 34 43 50 55 118 181 216 227 235 236
        @ 7.2 vhost-user-blk-pci-transitional 2 3 5 10 29 43 50 55 181 216 227 235
        @ 10.0 vhost-user-blk-pci-transitional 2 3 5 10 29 34 43 50 55 118 181 216 227 235 236
        @ 7.2 vhost-user-fs-device 10 29 43 166 181
        @ 10.0 vhost-user-fs-device 10 29 43 118 166 181
        @ 7.2 vhost-user-fs-pci 2 3 5 10 29 43 166 181 216 227 235
        @ 10.0 vhost-user-fs-pci 2 3 5 10 29 34 43 118 166 181 216 227 235 236
        @ 7.2 vhost-user-gpio-device 10 43
        @ 10.0 vhost-user-gpio-device 10 43 118
        @ 7.2 vhost-user-gpio-pci 2 3 5 10 43 227 235
        @ 10.0 vhost-user-gpio-pci 2 3 5 10 34 43 118 227 235 236
        @ 7.2 vhost-user-gpu 10 43 83 145 239
        @ 10.0 vhost-user-gpu 10 43 83 118 145 239
        @ 7.2 vhost-user-gpu-pci 2 3 5 10 43 72 83 126 145 216 227 235 239
        @ 10.0 vhost-user-gpu-pci 2 3 5 10 34 43 72 83 118 126 145 216 227 235 236 239
        @ 7.2 vhost-user-i2c-device 10 43
        @ 10.0 vhost-user-i2c-device 10 43 118
        @ 7.2 vhost-user-i2c-pci 2 3 5 10 43 227 235
        @ 10.0 vhost-user-i2c-pci 2 3 5 10 34 43 118 227 235 236
        @ 7.2 vhost-user-input 10 43 195
        @ 10.0 vhost-user-input 10 43 118
        @ 7.2 vhost-user-input-pci 2 3 5 10 43 72 195 216 227 235
        @ 10.0 vhost-user-input-pci 2 3 5 10 34 43 72 118 216 227 235 236
        @ 7.2 vhost-user-rng 10 43
        @ 10.0 vhost-user-rng 10 43 118
        @ 7.2 vhost-user-rng-pci 2 3 5 10 43 216 227 235
        @ 10.0 vhost-user-rng-pci 2 3 5 10 34 43 118 216 227 235 236
        @ 7.2 vhost-user-scsi 10 27 29 43 51 115 167 171
        @ 10.0 vhost-user-scsi 10 27 29 43 51 115 118 167 171
        @ 7.2 vhost-user-scsi-pci 2 3 5 10 27 29 43 51 72 115 167 171 216 227 235
        @ 10.0 vhost-user-scsi-pci 2 3 5 10 27 29 34 43 51 72 115 118 167 171 216 227 235 236
        @ 7.2 vhost-user-scsi-pci-non-transitional 2 3 5 10 27 29 43 51 115 167 171 216 227 235
        @ 10.0 vhost-user-scsi-pci-non-transitional 2 3 5 10 27 29 34 43 51 115 118 167 171 216 227 235 236
        @ 7.2 vhost-user-scsi-pci-transitional 2 3 5 10 27 29 43 51 115 167 171 216 227 235
        @ 10.0 vhost-user-scsi-pci-transitional 2 3 5 10 27 29 34 43 51 115 118 167 171 216 227 235 236
        @ 10.0 vhost-user-snd 10 43 56 118
        @ 10.0 vhost-user-snd-pci 2 3 5 10 34 43 56 118 227 235 236
        @ 7.2 vhost-user-vga 2 3 5 10 20 43 72 83 126 145 216 227 235 239
        @ 10.0 vhost-user-vga 2 3 5 10 20 34 43 72 83 118 126 145 216 227 235 236 239
        @ 7.2 vhost-user-vsock-device 10 43 194
        @ 10.0 vhost-user-vsock-device 10 43 118 194
        @ 7.2 vhost-user-vsock-pci 2 3 5 10 43 72 194 216 227 235
        @ 10.0 vhost-user-vsock-pci 2 3 5 10 34 43 72 118 194 216 227 235 236
        @ 7.2 vhost-user-vsock-pci-non-transitional 2 3 5 10 43 194 216 227 235
        @ 10.0 vhost-user-vsock-pci-non-transitional 2 3 5 10 34 43 118 194 216 227 235 236
        @ 10.0 vhost-vdpa-device 10 29 118 181 222
        @ 10.0 vhost-vdpa-device-pci 2 3 5 10 29 34 72 118 181 222 227 235 236
        @ 10.0 vhost-vdpa-device-pci-non-transitional 2 3 5 10 29 34 118 181 222 227 235 236
        @ 10.0 vhost-vdpa-device-pci-transitional 2 3 5 10 29 34 118 181 222 227 235 236
        @ 7.2 vhost-vsock-device 10 104 194 223
        @ 10.0 vhost-vsock-device 10 104 118 194 223
        @ 7.2 vhost-vsock-pci 2 3 5 10 72 104 194 216 223 227 235
        @ 10.0 vhost-vsock-pci 2 3 5 10 34 72 104 118 194 216 223 227 235 236
        @ 7.2 vhost-vsock-pci-non-transitional 2 3 5 10 104 194 216 223 227 235
        @ 10.0 vhost-vsock-pci-non-transitional 2 3 5 10 34 104 118 194 216 223 227 235 236
        @ 7.2 10.0 virtconsole 43 159 163
        @ 7.2 virtio-9p-device 10 101
        @ 10.0 virtio-9p-device 10 101 118
        @ 7.2 virtio-9p-pci 2 3 5 10 72 101 126 216 227 235
        @ 10.0 virtio-9p-pci 2 3 5 10 34 72 101 118 126 216 227 235 236
        @ 7.2 virtio-9p-pci-non-transitional 2 3 5 10 101 126 216 227 235
        @ 10.0 virtio-9p-pci-non-transitional 2 3 5 10 34 101 118 126 216 227 235 236
        @ 7.2 virtio-9p-pci-transitional 2 3 5 10 101 126 216 227 235
        @ 10.0 virtio-9p-pci-transitional 2 3 5 10 34 101 118 126 216 227 235 236
        @ 7.2 virtio-balloon-device 10 63 129
        @ 10.0 virtio-balloon-device 10 63 118 129
        @ 7.2 virtio-balloon-pci 2 3 5 10 63 72 129 227 235
        @ 10.0 virtio-balloon-pci 2 3 5 10 34 63 72 118 126 129 216 227 235 236
        @ 7.2 virtio-balloon-pci-non-transitional 2 3 5 10 63 129 227 235
        @ 10.0 virtio-balloon-pci-non-transitional 2 3 5 10 34 63 118 126 129 216 227 235 236
        @ 7.2 virtio-balloon-pci-transitional 2 3 5 10 63 129 227 235
        @ 10.0 virtio-balloon-pci-transitional 2 3 5 10 34 63 118 126 129 216 227 235 236
        @ 7.2 virtio-blk-device 1 10 29 55 61 79 129 142 181 188 192 195 198
        @ 10.0 virtio-blk-device 1 10 29 55 61 79 118 129 130 142 181 188 195 198
        @ 7.2 virtio-blk-pci 1 2 3 5 10 29 50 55 61 72 79 126 129 142 181 188 192 195 198 216 227 235
        @ 10.0 virtio-blk-pci 1 2 3 5 10 29 34 50 55 61 72 79 118 126 129 130 142 181 188 195 198 216 227 235 236
        @ 7.2 virtio-blk-pci-non-transitional 1 2 3 5 10 29 50 55 61 79 126 129 142 181 188 192 195 198 216 227 235
        @ 10.0 virtio-blk-pci-non-transitional 1 2 3 5 10 29 34 50 55 61 79 118 126 129 130 142 181 188 195 198 216 227 235 236
        @ 7.2 virtio-blk-pci-transitional 1 2 3 5 10 29 50 55 61 79 126 129 142 181 188 192 195 198 216 227 235
        @ 10.0 virtio-blk-pci-transitional 1 2 3 5 10 29 34 50 55 61 79 118 126 129 130 142 181 188 195 198 216 227 235 236
        @ 7.2 virtio-crypto-device 10 58
        @ 10.0 virtio-crypto-device 10 58 118
        @ 7.2 virtio-crypto-pci 2 3 5 10 58 72 126 216 227 235
        @ 10.0 virtio-crypto-pci 2 3 5 10 34 58 72 118 126 216 227 235 236
        @ 7.2 virtio-gpu-device 10 23 83 145 239
        @ 10.0 virtio-gpu-device 10 23 83 114 118 145 239
        @ 7.2 virtio-gpu-gl-device 10 23 83 145 205 239
        @ 7.2 virtio-gpu-gl-pci 2 3 5 10 23 72 83 126 145 205 216 227 235 239
        @ 7.2 virtio-gpu-pci 2 3 5 10 23 72 83 126 145 216 227 235 239
        @ 10.0 virtio-gpu-pci 2 3 5 10 23 34 72 83 114 118 126 145 216 227 235 236 239
        @ 7.2 virtio-input-host-device 10 88 195
        @ 10.0 virtio-input-host-device 10 88 118 195
        @ 7.2 virtio-input-host-pci 2 3 5 10 72 88 195 216 227 235
        @ 10.0 virtio-input-host-pci 2 3 5 10 34 72 88 118 195 216 227 235 236
        @ 7.2 virtio-iommu-device 10 26
        @ 10.0 virtio-iommu-device 10 15 26 103 118
        @ 7.2 virtio-iommu-pci 2 3 5 10 26 50 72 135 227 235
        @ 10.0 virtio-iommu-pci 2 3 5 10 15 26 34 50 72 103 118 189 227 235 236
        @ 7.2 virtio-keyboard-device 10 74 110 195
        @ 10.0 virtio-keyboard-device 10 74 110 118 195
        @ 7.2 virtio-keyboard-pci 2 3 5 10 72 74 110 195 216 227 235
        @ 10.0 virtio-keyboard-pci 2 3 5 10 34 72 74 110 118 195 216 227 235 236
        @ 7.2 virtio-mem 10 24 149 151 161 199
        @ 10.0 virtio-mem 10 24 81 118 149 151 161 199
        @ 7.2 virtio-mem-pci 2 3 5 10 24 72 149 151 161 199 227 235
        @ 10.0 virtio-mem-pci 2 3 5 10 24 34 72 81 118 126 149 151 161 199 216 227 235 236
        @ 7.2 virtio-mouse-device 10 74 110 195 224
        @ 10.0 virtio-mouse-device 10 74 110 118 195 224
        @ 7.2 virtio-mouse-pci 2 3 5 10 72 74 110 195 216 224 227 235
        @ 10.0 virtio-mouse-pci 2 3 5 10 34 72 74 110 118 195 216 224 227 235 236
        @ 10.0 virtio-multitouch-device 10 74 110 118 195
        @ 10.0 virtio-multitouch-pci 2 3 5 10 34 72 74 110 118 195 216 227 235 236
        @ 7.2 virtio-net-device 10 29 60 139 160
        @ 10.0 virtio-net-device 10 29 60 82 118 139 160
        @ 7.2 virtio-net-pci 2 3 5 10 29 60 72 126 139 160 216 227 235
        @ 10.0 virtio-net-pci 2 3 5 10 29 34 60 72 82 118 126 139 160 216 227 235 236
        @ 7.2 virtio-net-pci-non-transitional 2 3 5 10 29 60 126 139 160 216 227 235
        @ 10.0 virtio-net-pci-non-transitional 2 3 5 10 29 34 60 82 118 126 139 160 216 227 235 236
        @ 7.2 virtio-net-pci-transitional 2 3 5 10 29 60 126 139 160 216 227 235
        @ 10.0 virtio-net-pci-transitional 2 3 5 10 29 34 60 82 118 126 139 160 216 227 235 236
        @ 7.2 virtio-pmem 10 149 151
        @ 10.0 virtio-pmem 10 118 149 151
        @ 7.2 virtio-pmem-pci 2 3 5 10 72 149 151 227 235
        @ 10.0 virtio-pmem-pci 2 3 5 10 34 72 118 149 151 227 235 236
        @ 7.2 virtio-rng-device 10 141
        @ 10.0 virtio-rng-device 10 118 141
        @ 7.2 virtio-rng-pci 2 3 5 10 72 126 141 216 227 235
        @ 10.0 virtio-rng-pci 2 3 5 10 34 72 118 126 141 216 227 235 236
        @ 7.2 virtio-rng-pci-non-transitional 2 3 5 10 126 141 216 227 235
        @ 10.0 virtio-rng-pci-non-transitional 2 3 5 10 34 118 126 141 216 227 235 236
        @ 7.2 virtio-rng-pci-transitional 2 3 5 10 126 141 216 227 235
        @ 10.0 virtio-rng-pci-transitional 2 3 5 10 34 118 126 141 216 227 235 236
        @ 7.2 virtio-scsi-device 10 51 115 129 167 171 193
        @ 10.0 virtio-scsi-device 10 51 115 118 129 130 167 171 193
        @ 7.2 virtio-scsi-pci 2 3 5 10 51 72 115 126 129 167 171 193 216 227 235
        @ 10.0 virtio-scsi-pci 2 3 5 10 34 51 72 115 118 126 129 130 167 171 193 216 227 235 236
        @ 7.2 virtio-scsi-pci-non-transitional 2 3 5 10 51 115 126 129 167 171 193 216 227 235
        @ 10.0 virtio-scsi-pci-non-transitional 2 3 5 10 34 51 115 118 126 129 130 167 171 193 216 227 235 236
        @ 7.2 virtio-scsi-pci-transitional 2 3 5 10 51 115 126 129 167 171 193 216 227 235
        @ 10.0 virtio-scsi-pci-transitional 2 3 5 10 34 51 115 118 126 129 130 167 171 193 216 227 235 236
        @ 7.2 virtio-serial-device 10 84
        @ 10.0 virtio-serial-device 10 84 118
        @ 7.2 virtio-serial-pci 2 3 5 10 50 72 84 126 216 227 235
        @ 10.0 virtio-serial-pci 2 3 5 10 34 50 72 84 118 126 216 227 235 236
        @ 7.2 virtio-serial-pci-non-transitional 2 3 5 10 50 84 126 216 227 235
        @ 10.0 virtio-serial-pci-non-transitional 2 3 5 10 34 50 84 118 126 216 227 235 236
        @ 7.2 virtio-serial-pci-transitional 2 3 5 10 50 84 126 216 227 235
        @ 10.0 virtio-serial-pci-transitional 2 3 5 10 34 50 84 118 126 216 227 235 236
        @ 10.0 virtio-sound-device 10 13 49 118 206
        @ 10.0 virtio-sound-pci 2 3 5 10 13 34 49 72 118 126 206 216 227 235 236
        @ 7.2 virtio-tablet-device 10 74 110 195 224
        @ 10.0 virtio-tablet-device 10 74 110 118 195 224
        @ 7.2 virtio-tablet-pci 2 3 5 10 72 74 110 195 216 224 227 235
        @ 10.0 virtio-tablet-pci 2 3 5 10 34 72 74 110 118 195 216 224 227 235 236
        @ 7.2 virtio-vga 2 3 5 10 20 23 72 83 126 145 216 227 235 239
        @ 10.0 virtio-vga 2 3 5 10 20 23 34 72 83 114 118 126 145 216 227 235 236 239
        @ 7.2 virtio-vga-gl 2 3 5 10 20 23 72 83 126 145 205 216 227 235 239
        @ 7.2 10.0 virtserialport 43 159 163
        @ 7.2 10.0 vmbus-bridge 131
        @ 7.2 10.0 vmgenid 107
        @ 7.2 10.0 vmmouse 116
        @ 7.2 vmware-svga 2 3 102 221
        @ 10.0 vmware-svga 2 3 34 102 221
        @ 7.2 vmxnet3 2 3 29 139 160 227 233
        @ 10.0 vmxnet3 2 3 29 34 139 160 227 233
        @ 7.2 x-pci-proxy-dev 2 3 91
        @ 10.0 x-pci-proxy-dev 2 3 34 91
        @ 7.2 x3130-upstream 2 3 6 172
        @ 10.0 x3130-upstream 2 3 6 34 172 234
        @ 10.0 xen-cdrom 1 79 99 129 143 198
        @ 10.0 xen-console 43 99 117
        @ 10.0 xen-disk 1 79 99 129 143 198
        @ 10.0 xen-net-device 99 117 139 160
        @ 10.0 xen-platform 2 3 34
        @ 7.2 xio3130-downstream 2 3 6 47 115 172 176 201 232
        @ 10.0 xio3130-downstream 2 3 6 34 47 115 172 176 201 228 234
        """;
}
