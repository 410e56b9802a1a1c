# SPDX-License-Identifier: GPL-2.0-only
"""Gives PV qubes their memory map between their creation, which is always paused, and their first instruction (docs/qubes.md).

For qubes with the feature "keyhole-map": qvm-features NAME keyhole-map stop|libxl. stop: a qube that cannot be given its map is not started; libxl: it starts on
libxl's own.
"""
import asyncio
import json
import shutil

import qubes.exc
import qubes.ext

LIMIT_SECONDS = 20


class KeyholeExtension(qubes.ext.Extension):
    """Which of the two events comes first depends on the release of Qubes: the second finds the map in force, and does no harm."""

    @qubes.ext.handler("domain-spawn", "domain-pre-unpaused")
    async def on_paused(self, vm, event, **_kwargs):
        or_else = vm.features.get("keyhole-map", None)
        if not or_else or getattr(vm, "virt_mode", None) != "pv":
            return
        if shutil.which("keyhole") is None:
            vm.log.warning("keyhole is not there any more: the qube starts on libxl's own map")
            return
        status, said = await self._run("inspect", str(vm.xid), "--json")
        if status == 0 and json.loads(said)["hasRun"]:
            # Somebody had paused it, and it has its map.
            return
        status, said = await self._run("apply", str(vm.xid), "--json")
        if status == 0:
            vm.log.info("Keyhole's map is in force")
        elif or_else == "libxl":
            vm.log.error("it gets no map of Keyhole's (status %d); it starts on libxl's own", status)
        else:
            raise qubes.exc.QubesException("it gets no map of Keyhole's (status {}): keyhole apply {}".format(status, vm.xid))

    @staticmethod
    async def _run(*words):
        process = await asyncio.create_subprocess_exec("keyhole", *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE)
        try:
            output, _ = await asyncio.wait_for(process.communicate(), LIMIT_SECONDS)
        except asyncio.TimeoutError:
            process.kill()
            return -1, b""
        return process.returncode, output
