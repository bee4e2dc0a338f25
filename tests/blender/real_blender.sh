#!/bin/bash
# The add-on in a real Blender binary (5.2 LTS from Debian sid): the tests of strips; then installed from its zip, run by
# --command in the background, and in a window: the first run of a new user, who has the engine installed from the network; a run
# to its end, and one that ESC stops, with pictures of the screen. Before that, from a static repository, with an update.
#
#   tests/blender/real_blender.sh [SHOTS]          pictures and logs go to SHOTS (default: dist/real_blender)
#
# FLOW_INPAINT_BLENDER_ROOT   folder of the Debian system with Blender; made when it is missing (75 s, 2 GB)
#                             (default: $XDG_CACHE_HOME/flow-inpaint/sid)
# REAL_BLENDER_ONLY           "first_run" or "repository": only that part
# FLOW_INPAINT_PYTHON         the interpreter with the engine (default: .venv/bin/python of this clone)
#
# Needs root (chroot) and debootstrap. Mounts are made in a mount namespace of its own and go with it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
root=${FLOW_INPAINT_BLENDER_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/flow-inpaint/sid}
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
    debootstrap --variant=minbase --include=ca-certificates sid "$root.part" "$mirror" >"$root.log" 2>&1 || fail "debootstrap failed: see $root.log"
    echo 'Acquire::Check-Valid-Until "false";' >"$root.part/etc/apt/apt.conf.d/99-old-snapshots"
    cp /etc/resolv.conf "$root.part/etc/resolv.conf"
    # shellcheck disable=SC2086
    { chroot "$root.part" apt-get update &&
        DEBIAN_FRONTEND=noninteractive chroot "$root.part" apt-get install -y --no-install-recommends $packages; } >>"$root.log" 2>&1 ||
        fail "Blender could not be installed: see $root.log"
    mv "$root.part" "$root"
}

[ -x "$root/usr/bin/blender" ] || make_root
chroot "$root" python3 -c 'import ensurepip' 2>/dev/null || fail "$root has no python3-venv: install it there, or delete the folder to have it made anew"

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
cp "$here"/scripts_real_edit.py "$here"/scripts_real_window.py "$here"/scripts_first_run.py "$work"
"$python" "$here/real_clips.py" "$work"
mkdir -p "$work/home" "$work/shots" "$work/tmp"
cat >"$work/engine-python" <<WRAPPER
#!/bin/sh
exec chroot /mnt/host '$python' "\$@"
WRAPPER
chmod +x "$work/engine-python"

inside() {
    timeout 300 chroot "$root" env -i HOME="$work/home" LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin \
        FLOW_INPAINT_PYTHON="$work/engine-python" TMPDIR="$work/tmp" LIBGL_ALWAYS_SOFTWARE=1 REAL_WORK="$work" "$@"
}

# Somebody who has just got Blender: a home of their own, with a space and an accent in its name, and no engine.
newcomer() {
    mkdir -p "$work/new cömer/home"
    timeout 300 chroot "$root" env -i HOME="$work/new cömer/home" LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin \
        TMPDIR="$work/tmp" LIBGL_ALWAYS_SOFTWARE=1 REAL_WORK="$work" "${certificates[@]}" "$@"
}
certificates=()
if [ -f "${PIP_CERT:-}" ]; then
    cp "$PIP_CERT" "$work/certificates.pem"
    certificates=(PIP_CERT="$work/certificates.pem")
fi

first_run() {
    say "the first run"
    local code=0
    newcomer xvfb-run -a -s "-screen 0 1600x900x24" blender --app-template Video_Editing -p 0 0 1600 900 \
        --python-exit-code 1 --python "$work/scripts_first_run.py" >"$work/first_run.log" 2>&1 || code=$?
    cp "$work"/shots/install_*.png "$work"/first_run.log "$shots"/ 2>/dev/null || true
    find "$work/new cömer" -name install.log -exec cp {} "$shots/engine_install.log" \;
    grep -q '^FIRST RUN OK$' "$work/first_run.log" || { tail -n 40 "$work/first_run.log"; fail "the first run failed (exit code $code)"; }
    grep '^first run:' "$work/first_run.log"
    say "the pictures of docs/install.md"
    for name in 1_missing 5_downloading 7_installed; do
        inside convert "$work/shots/install_$name.png" -crop 348x330+1224+460 +repage "$work/shots/crop_$name.png"
    done
    inside convert "$work"/shots/crop_{1_missing,5_downloading,7_installed}.png -bordercolor '#181818' -border 4x0 +append \
        -strip "$work/shots/install_panel.png"
    inside convert "$work/shots/install_3_dialog.png" -crop 512x230+346+403 +repage -strip "$work/shots/install_dialog.png"
    inside convert "$work/shots/install_9_preferences.png" -crop 690x200+280+196 +repage -strip "$work/shots/install_preferences.png"
    rm "$work"/shots/crop_*
    cp "$work"/shots/install_*.png "$shots"/
    grep -q '^Traceback' "$work/first_run.log" && { cat "$work/first_run.log"; fail "something went wrong on the way"; }
    [ "$code" = 0 ] || fail "Blender did not quit in good order: exit code $code"
    say "the engine from the command line"
    newcomer blender -b --command flow_inpaint --remove-engine >"$work/engine.log" 2>&1 || { cat "$work/engine.log"; fail "the engine was not removed"; }
    newcomer blender -b --offline-mode --command flow_inpaint --install-engine >"$work/engine.log" 2>&1 && fail "it went online without leave"
    grep -q "Allow Online Access" "$work/engine.log" || { cat "$work/engine.log"; fail "going online was refused without a word"; }
    newcomer blender -b --online-mode --command flow_inpaint --install-engine --torch none >"$work/engine.log" 2>&1 ||
        { cat "$work/engine.log"; fail "the command did not install the engine"; }
    grep '^{"engine": "installed"' "$work/engine.log" || { cat "$work/engine.log"; fail "the command does not say what it installed"; }
    newcomer blender -b "$work/first run/edit.blend" --command flow_inpaint --strip Street --mask-channel 3 --preset draft >"$work/engine.log" 2>&1 ||
        { cat "$work/engine.log"; fail "the engine that was installed does not do the job"; }
}

# The static repository that build_addon.py makes, as a file:// address: installed from it, and updated when it has a newer zip.
repository() {
    say "from a static repository"
    local extension="newcomer blender -b --online-mode --command extension" version
    {
        $extension repo-add --name "Flow Inpaint" --url "file://$work/repository/index.json" flow_inpaint_shelf &&
            $extension sync && $extension install --enable flow_inpaint_shelf.flow_inpaint && $extension list
    } >"$work/repository.log" 2>&1 || { cat "$work/repository.log"; fail "the add-on was not installed from the repository"; }
    newcomer blender -b --command flow_inpaint --help >"$work/repository.help" 2>&1 || { cat "$work/repository.help"; fail "the add-on from the repository does not run"; }
    "$python" - "$work" "$repository" <<'NEWER'
import sys, zipfile
from pathlib import Path
work, repository = map(Path, sys.argv[1:])
sys.path.append(str(repository))
import build_addon
old = next(work.glob("flow_inpaint-*.zip"))
(work / "newer").mkdir()
newer = work / "newer" / "flow_inpaint-9.9.9.zip"
with zipfile.ZipFile(old) as source, zipfile.ZipFile(newer, "w") as target:
    for name in source.namelist():
        data = source.read(name)
        target.writestr(name, data.replace(b'version = "%s"' % build_addon.version().encode(), b'version = "9.9.9"', 1) if name == "blender_manifest.toml" else data)
build_addon.publish(newer, work / "repository")
NEWER
    { $extension sync && $extension update && $extension list; } >>"$work/repository.log" 2>&1 || { cat "$work/repository.log"; fail "no update from the repository"; }
    cp "$work/repository.log" "$shots"/
    version=$(find "$work/new cömer" -path '*flow_inpaint_shelf/flow_inpaint/blender_manifest.toml' -exec grep '^version' {} \;)
    [ "$version" = 'version = "9.9.9"' ] || { cat "$work/repository.log"; fail "the update brought $version"; }
    newcomer blender -b --command extension server-generate --repo-dir "$work/newer" >>"$work/repository.log" 2>&1
    "$python" -c 'import json, sys; a, b = (json.load(open(p)) for p in sys.argv[1:]); assert a == b, (a, b)' \
        "$work/repository/index.json" "$work/newer/index.json" || fail "Blender lists the repository in another way"
    newcomer blender -b --command extension remove flow_inpaint_shelf.flow_inpaint >>"$work/repository.log" 2>&1
    newcomer blender -b --command extension repo-remove flow_inpaint_shelf >>"$work/repository.log" 2>&1
}

say "$(inside blender --version | head -n 1)"
inside blender --command extension validate "$work"/flow_inpaint-*.zip >"$work/validate.log" 2>&1 || { cat "$work/validate.log"; fail "Blender refuses the zip"; }
if [ -n "${REAL_BLENDER_ONLY:-}" ]; then
    "$REAL_BLENDER_ONLY"
    exit
fi
inside blender --command extension install-file -r user_default --enable "$work"/flow_inpaint-*.zip >"$work/install.log" 2>&1 ||
    fail "the zip was not installed: $(tail -n 3 "$work/install.log")"

repository
first_run
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

say "in the background"
inside blender -b --python-exit-code 1 --python "$work/scripts_real_edit.py" -- make >"$work/edit.log" 2>&1 || { cat "$work/edit.log"; fail "no edit"; }
code=0
inside blender -b "$work/edit.blend" --command flow_inpaint --strip Street --mask-channel 3 --preset draft --save >"$work/command.log" 2>&1 || code=$?
[ "$code" = 0 ] || { cat "$work/command.log"; fail "the command ended with $code"; }
inside blender -b "$work/edit.blend" --python-exit-code 1 --python "$work/scripts_real_edit.py" -- check >"$work/check.log" 2>&1 ||
    { cat "$work/check.log"; fail "the saved file is not as it should be"; }
code=0
inside blender -b "$work/edit.blend" --command flow_inpaint --strip Nobody --mask-channel 3 >"$work/out.log" 2>"$work/errors.log" || code=$?
[ "$code" = 1 ] || fail "a strip that is not there gave the exit code $code"
grep -q "^flow_inpaint: .*Nobody" "$work/errors.log" || fail "a strip that is not there was not named: $(cat "$work/errors.log")"

say "in a window"
code=0
inside xvfb-run -a -s "-screen 0 1600x900x24" blender --app-template Video_Editing -p 0 0 1600 900 \
    --python-exit-code 1 --python "$work/scripts_real_window.py" \
    >"$work/window.log" 2>&1 || code=$?
cp "$work"/shots/*.png "$shots"/ 2>/dev/null || true
cp "$work"/*.log "$shots"/
grep -q '^WINDOW OK$' "$work/window.log" || { tail -n 40 "$work/window.log"; fail "the run in a window failed (exit code $code)"; }
grep '^window:' "$work/window.log"
grep -q '^Traceback' "$work/window.log" && { cat "$work/window.log"; fail "something went wrong on the way"; }
[ "$code" = 0 ] || fail "Blender did not quit in good order: exit code $code"
[ ! -e "/proc/$(cat "$work/last_engine")" ] || fail "the engine outlives Blender"
[ -z "$(find "$work/window/flow_inpaint" "$work/tmp" -name '*.part' -o -name 'flow-inpaint-*')" ] || fail "quitting in the middle leaves something behind"
say "all is well; pictures in $shots"
