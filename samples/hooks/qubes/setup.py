# SPDX-License-Identifier: GPL-2.0-only
import setuptools

setuptools.setup(
    name="keyhole-qubes",
    version="0.1.0",
    py_modules=["keyhole_qubes"],
    entry_points={"qubes.ext": "keyhole = keyhole_qubes:KeyholeExtension"},
)
