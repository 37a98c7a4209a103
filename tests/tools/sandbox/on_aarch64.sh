#!/usr/bin/env bash
# Runs the sandbox's tests on a virtual aarch64 machine with Debian's kernel: on_aarch64.sh [pytest arguments].
#
# Needs Debian or Ubuntu with apt, qemu-system-arm and cpio; no root. The machine is emulated, ten to twenty times slower
# than a real one. Its whole file system lies in its memory and is made afresh; downloads are kept in $CACHE.
# ARCH=amd64 does the same on an emulated x86-64 (qemu-system-x86), which has a kernel and control groups of its own.
set -euo pipefail

arch=${ARCH:-arm64}
case $arch in
  arm64) wheels=aarch64 qemu=(qemu-system-aarch64 -M virt -cpu max,pauth-impdef=on) console=ttyAMA0 ;;
  amd64) wheels=x86_64 qemu=(qemu-system-x86_64 -cpu max) console=ttyS0 ;;
  *) echo "ARCH is arm64 or amd64, found $arch" >&2; exit 2 ;;
esac
repository=$(cd "$(dirname "$0")/../../.." && pwd)
cache=${CACHE:-$HOME/.cache/verl-hdpo-vm}/$arch
root=$cache/root
mkdir -p "$cache"/{apt/lists/partial,apt/archives/partial,wheels}
touch "$cache/apt/status"

apt=(apt-get -qq -o Debug::NoLocking=1 -o APT::Architecture="$arch" -o APT::Architectures="$arch"
  -o Dir::State="$cache/apt" -o Dir::State::status="$cache/apt/status" -o Dir::Cache="$cache/apt" -o APT::Sandbox::User=root)
"${apt[@]}" update
"${apt[@]}" install --download-only --no-install-recommends -y \
  "linux-image-$arch" python3 libsqlite3-0 libstdc++6 busybox-static bubblewrap tzdata coreutils bash dash procps base-passwd

rm -rf "$root"
mkdir -p "$root"
for package in "$cache"/apt/archives/*.deb; do
  dpkg -x "$package" "$root"
done
kernel=$(ls "$root"/boot/vmlinuz-*)
cp "$kernel" "$cache/kernel"
rm -rf "$root"/boot "$root"/lib/modules "$root"/usr/share/{doc,man,locale}

minor=$(basename "$(ls -d "$root"/usr/lib/python3.*[0-9] | head -1)" | cut -d. -f2)
python3 -m pip download --quiet --quiet --dest "$cache/wheels" --only-binary=:all: --python-version "3.$minor" \
  --platform "manylinux_2_28_$wheels" --platform "manylinux2014_$wheels" --platform "manylinux_2_17_$wheels" \
  numpy pandas pillow matplotlib sympy pydantic pytest pytest-timeout hypothesis psutil
packages=$root/usr/local/lib/python3.$minor/dist-packages
mkdir -p "$packages" "$root"/{new,proc,sys,dev,tmp,run,work/tests/tools,work/docs,root}
for wheel in "$cache"/wheels/*.whl; do
  python3 -m zipfile -e "$wheel" "$packages"
done
cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
cp -r "$repository/verl_hdpo" "$repository/pyproject.toml" "$root/work"
cp -r "$repository/docs/tools" "$root/work/docs"
cp -r "$repository/tests/support" "$root/work/tests"
cp -r "$repository/tests/tools/sandbox" "$root/work/tests/tools"

cat > "$root/init" <<INIT
#!/bin/busybox sh
mount() { busybox mount "\$@"; }
# No process whose root is the kernel's first file system can have another, which namespaces need.
if [ "\$1" != moved ]; then
  mount --bind / /new
  cd /new
  mount --move . /
  exec busybox chroot . /init moved
fi
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/tests
echo 0 > /sys/fs/cgroup/tests/cgroup.procs
mount -t tmpfs tmp /tmp
ip() { busybox ip "\$@"; }
ip link set lo up
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root PYTHONPATH=/work PYTHONDONTWRITEBYTECODE=1 SANDBOX_TESTS_SLOWNESS=8
uname -a
cd /work
python3 -m pytest -p no:cacheprovider -q $(printf '%q ' "$@") tests/tools/sandbox
echo "pytest ended with \$?"
busybox poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc --owner=+0:+0) > "$cache/initrd"

"${qemu[@]}" -smp 2 -m "${MEMORY:-6G}" -nographic -nic none -no-reboot -kernel "$cache/kernel" -initrd "$cache/initrd" \
  -append "console=$console quiet panic=-1 rdinit=/init" | tee "$cache/log"
grep -q "pytest ended with 0" "$cache/log"
