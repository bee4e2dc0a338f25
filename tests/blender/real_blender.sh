#!/bin/bash
# The add-on in a real Blender binary (5.2 LTS from Debian sid, or 4.3 from trixie): the tests of strips; then installed from its zip, run by
# --command in the background, and in a window: the first run of a new user, who has the engine installed from the network; then
# the story of scripts_real_window.py, with pictures of the screen. Before that, from a static repository, with an update.
#
#   tests/blender/real_blender.sh [SHOTS]          pictures and logs go to SHOTS (default: dist/real_blender)
#
# FLOW_INPAINT_BLENDER_ROOT   folder of the Debian system with Blender; made when it is missing (75 s, 2 GB)
#                             (default: $XDG_CACHE_HOME/flow-inpaint/sid)
# REAL_BLENDER_SUITE          "trixie" for Blender 4.3, in a folder of that name (default: sid)
# REAL_BLENDER_STORY          another story in the window, and nothing before it (scripts_manual_pictures.py); its pictures are made small
# REAL_BLENDER_ONLY_WINDOW    anything: leave out everything before the window
# REAL_BLENDER_ONLY           "first_run", "repository", "strips_tests" or "in_the_background": only that part
# FLOW_INPAINT_PYTHON         the interpreter with the engine (default: .venv/bin/python of this clone)
#
# Needs root (chroot) and debootstrap. Mounts are made in a mount namespace of its own and go with it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
suite=${REAL_BLENDER_SUITE:-sid}
root=${FLOW_INPAINT_BLENDER_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/flow-inpaint/$suite}
python=${FLOW_INPAINT_PYTHON:-$repository/.venv/bin/python}
shots=${1:-$repository/dist/real_blender}

fail() { echo "real_blender: $*" >&2; exit 1; }
say() { echo "real_blender: $*"; }

[ "$(id -u)" = 0 ] || fail "needs root, for chroot"
[ -x "$python" ] || fail "$python is no interpreter: run make setup, or set FLOW_INPAINT_PYTHON"
if [ "${REAL_BLENDER_INSIDE:-}" != yes ]; then
    export REAL_BLENDER_INSIDE=yes
    exec unshare --mount --propagation private -- "$BASH" "${BASH_SOURCE[0]}" "$@"
fi

make_root() {
    command -v debootstrap >/dev/null || fail "needs debootstrap: apt-get install debootstrap"
    local mirror packages
    mirror=$(grep -rhoE 'https?://[^ ]*/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | grep -v security | head -n 1 | tr -d ' ' || true)
    packages="blender python3-numpy python3-cattr python3-requests python3-venv xvfb libgl1-mesa-dri libegl-mesa0 imagemagick xauth xdotool"
    say "making $root from ${mirror:=http://deb.debian.org/debian}"
    mkdir -p "$(dirname "$root")"
    rm -rf "$root.part"
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$root.part" "$mirror" >"$root.log" 2>&1 || fail "debootstrap failed: see $root.log"
    echo 'Acquire::Check-Valid-Until "false";' >"$root.part/etc/apt/apt.conf.d/99-old-snapshots"
    cp /etc/resolv.conf "$root.part/etc/resolv.conf"
    # shellcheck disable=SC2086
    { chroot "$root.part" apt-get update &&
        DEBIAN_FRONTEND=noninteractive chroot "$root.part" apt-get install -y --no-install-recommends $packages; } >>"$root.log" 2>&1 ||
        fail "Blender could not be installed: see $root.log"
    mv "$root.part" "$root"
}

[ -x "$root/usr/bin/blender" ] || make_root

work=$(mktemp -d /tmp/flow-inpaint-real-blender.XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir -p "$shots"
shots=$(cd "$shots" && pwd)

# The work folder and the clone have one name on both sides of the chroot; the whole host below /mnt/host, where the engine runs.
mkdir -p "$root$work" "$root/mnt/host"
mkdir -p "$root$repository"
trap 'umount "$root$work"; rmdir "$root$work"; rm -rf "$work"' EXIT
mount --rbind / "$root/mnt/host"
mount --bind "$work" "$root$work"
mount --bind "$repository" "$root$repository"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"

say "zip and clips"
"$python" "$repository/build_addon.py" --output "$work" >/dev/null 2>"$work/build.log" || { cat "$work/build.log"; fail "no zip"; }
story=${REAL_BLENDER_STORY:-scripts_real_window.py}
cp "$here"/scripts_real_edit.py "$here"/scripts_real_passes.py "$here"/scripts_real_matte.py "$here/$story" "$here"/window_tools.py "$repository"/engine/flow_inpaint/demo_shot/*.m* "$work"
"$python" "$here/real_clips.py" "$work"
mkdir -p "$work/home" "$work/shots" "$work/tmp"
cat >"$work/engine-python" <<WRAPPER
#!/bin/sh
exec chroot /mnt/host '$python' "\$@"
WRAPPER
chmod +x "$work/engine-python"

inside() {
    timeout 400 chroot "$root" env -i HOME="$work/home" LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin \
        FLOW_INPAINT_PYTHON="$work/engine-python" TMPDIR="$work/tmp" LIBGL_ALWAYS_SOFTWARE=1 REAL_WORK="$work" "$@"
}

. "$here/real_newcomer.sh"

strips_tests() {
    say "the tests of strips"
    cat >"$work/blender" <<WRAPPER
#!/bin/sh
exec chroot '$root' env -i HOME='$work/home' LANG=C.UTF-8 PATH=/usr/bin:/bin TMPDIR='$work/tmp' PYTHONDONTWRITEBYTECODE=1 \\
    BLENDER_USER_RESOURCES="\$BLENDER_USER_RESOURCES" blender "\$@"
WRAPPER
    chmod +x "$work/blender"
    # An older Blender makes the strips with adjusted playback rates; the tests of those are skipped without one.
    older=$(compgen -G "$repository/.blender/bpy-4*/bin/python" | paste -sd : || true)
    (cd "$repository" && FLOW_INPAINT_BPY_PYTHONS="$work/blender${older:+:$older}" "$python" -m pytest -q -p no:cacheprovider \
        --basetemp="$work/pytest" -k "not bpy-" tests/blender/test_strips_*.py) >"$work/strips.log" 2>&1 || { cat "$work/strips.log"; fail "tests of strips fail"; }
    say "$(tail -n 1 "$work/strips.log")"
}

in_the_background() {
    say "in the background"
    inside blender -b --python-exit-code 1 --python "$work/scripts_real_edit.py" -- make >"$work/edit.log" 2>&1 || { cat "$work/edit.log"; fail "no edit"; }
    code=0
    inside blender -b "$work/edit.blend" --command flow_inpaint --strip Street --mask-channel 3 --preset draft --save >"$work/command.log" 2>&1 || code=$?
    [ "$code" = 0 ] || { cat "$work/command.log"; fail "the command ended with $code"; }
    inside blender -b "$work/edit.blend" --python-exit-code 1 --python "$work/scripts_real_edit.py" -- check >"$work/check.log" 2>&1 ||
        { cat "$work/check.log"; fail "the saved file is not as it should be"; }
    told() { grep '^{' "$work/told.log" | tail -n 1; }
    inside blender -b "$work/edit.blend" --command flow_inpaint --list >"$work/told.log" 2>"$work/errors.log" || { cat "$work/errors.log"; fail "--list failed"; }
    told | "$python" -c 'import json, sys; s = json.load(sys.stdin)["strips"]; assert [(o["kind"], o["source"], o["missing"]) for o in s] == [("result", "Street", 0)], s' ||
        fail "--list says $(told)"
    inside blender -b "$work/edit.blend" --command flow_inpaint --update >"$work/told.log" 2>"$work/errors.log" || { cat "$work/errors.log"; fail "--update failed"; }
    told | "$python" -c 'import json, sys; r = json.load(sys.stdin)["results"]; assert [o["done"] for o in r] == ["nothing"], r' || fail "--update says $(told)"
    code=0
    inside blender -b "$work/edit.blend" --command flow_inpaint --strip Nobody --mask-channel 3 >"$work/out.log" 2>"$work/errors.log" || code=$?
    [ "$code" = 2 ] || fail "a strip that is not there gave the exit code $code"
    grep -q "^flow_inpaint: .*Nobody" "$work/errors.log" || fail "a strip that is not there was not named: $(cat "$work/errors.log")"
}

say "$(inside blender --version | head -n 1)"
inside blender --command extension validate "$work"/flow_inpaint-*.zip >"$work/validate.log" 2>&1 || { cat "$work/validate.log"; fail "Blender refuses the zip"; }
inside blender --command extension install-file -r user_default --enable "$work"/flow_inpaint-*.zip >"$work/install.log" 2>&1 ||
    fail "the zip was not installed: $(tail -n 3 "$work/install.log")"
if [ -n "${REAL_BLENDER_ONLY:-}" ]; then
    "$REAL_BLENDER_ONLY"
    exit
fi

if [ -z "${REAL_BLENDER_ONLY_WINDOW:-}" ] && [ -z "${REAL_BLENDER_STORY:-}" ]; then
    repository
    first_run
    strips_tests
    in_the_background
fi

say "in a window"
code=0
height=${REAL_BLENDER_STORY:+1040}  # for the manual: all of the panel is to be seen
inside xvfb-run -a -s "-screen 0 1600x${height:=900}x24" blender --app-template Video_Editing -p 0 0 1600 "$height" \
    --python-exit-code 1 --python "$work/$story" \
    >"$work/window.log" 2>&1 || code=$?
if [ -n "${REAL_BLENDER_STORY:-}" ]; then
    for picture in "$work"/shots/*.png; do
        inside convert "$picture" -resize "1200x>" +dither -colors 250 -define png:compression-level=9 "$picture" || true
    done
else
    cp "$work"/*.log "$shots"/
fi
cp "$work"/shots/*.png "$shots"/ 2>/dev/null || true
grep -q '^WINDOW OK$' "$work/window.log" || { tail -n 40 "$work/window.log"; fail "the run in a window failed (exit code $code)"; }
grep '^window:' "$work/window.log"
grep -q '^Traceback' "$work/window.log" && { cat "$work/window.log"; fail "something went wrong on the way"; }
[ "$code" = 0 ] || fail "Blender did not quit in good order: exit code $code"
[ ! -e "/proc/$(cat "$work/last_engine")" ] || fail "the engine outlives Blender"
[ -z "$(find "$work"/*/flow_inpaint "$work/tmp" -name '*.part' -o -name 'flow-inpaint-*')" ] || fail "quitting in the middle leaves something behind"
say "all is well; pictures in $shots"
