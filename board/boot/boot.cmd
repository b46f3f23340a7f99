# Chooses the system slot. uboot.env on the first partition holds BOOT_ORDER and, for each slot, how many more times it may be tried without having
# been confirmed: RAUC writes the same file. A slot is tried three times; when none is left, all get their tries back, because a controller that
# does not start at all helps nobody.
@UBOOT@
env default -f BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT
setenv BOOT_ORDER "A B"
setenv BOOT_A_LEFT 3
setenv BOOT_B_LEFT 3
if load ${devtype} ${devnum}:1 ${loadaddr} uboot.env; then
  env import -c ${loadaddr} 0x4000 BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT
fi
setenv slot
for s in ${BOOT_ORDER}; do
  if test -z "${slot}"; then
    if test "${s}" = A && test ${BOOT_A_LEFT} -gt 0; then
      setexpr BOOT_A_LEFT ${BOOT_A_LEFT} - 1
      setenv slot A
      setenv part 2
    fi
    if test "${s}" = B && test ${BOOT_B_LEFT} -gt 0; then
      setexpr BOOT_B_LEFT ${BOOT_B_LEFT} - 1
      setenv slot B
      setenv part 3
    fi
  fi
done
if test -z "${slot}"; then
  echo "no slot has a try left: both begin anew"
  setenv BOOT_A_LEFT 3
  setenv BOOT_B_LEFT 3
fi
env export -c -s 0x4000 ${loadaddr} BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT
fatwrite ${devtype} ${devnum}:1 ${loadaddr} uboot.env 0x4000
if test -z "${slot}"; then
  reset
fi
echo "slot ${slot}"
load ${devtype} ${devnum}:${part} ${kernel_addr_r} vmlinuz
load ${devtype} ${devnum}:${part} ${ramdisk_addr_r} initrd
setenv initrd_size ${filesize}
if load ${devtype} ${devnum}:${part} ${fdt_addr_r} dtb; then
  setenv fdt ${fdt_addr_r}
else
  setenv fdt ${fdtcontroladdr}
fi
setenv bootargs "@CMDLINE@ rauc.slot=${slot}"
booti ${kernel_addr_r} ${ramdisk_addr_r}:${initrd_size} ${fdt}
