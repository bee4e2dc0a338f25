# Part of real_blender.sh: what somebody meets who has just got the add-on. `repository`: installed from a static repository, and
# updated. `first_run`: in a window, the engine installed from the network by the panel's button, cancelled, resumed, tested, used;
# then removed and installed by the command. Both need a network, or pip settings that do without.

# Somebody who has just got Blender: a home of their own, with a space and an accent in its name, and no engine.
newcomer() {
    mkdir -p "$work/new cömer/home"
    timeout 600 chroot "$root" env -i HOME="$work/new cömer/home" LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin \
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
    chroot "$root" python3 -c 'import ensurepip' 2>/dev/null || fail "$root has no python3-venv: install it there, or delete the folder to have it made anew"
    cp "$here/scripts_first_run.py" "$work"
    newcomer xvfb-run -a -s "-screen 0 1600x900x24" blender --app-template Video_Editing -p 0 0 1600 900 \
        --python-exit-code 1 --python "$work/scripts_first_run.py" >"$work/first_run.log" 2>&1 || code=$?
    cp "$work"/shots/install_*.png "$work"/first_run.log "$shots"/ 2>/dev/null || true
    find "$work/new cömer" -name install.log -exec cp {} "$shots/engine_install.log" \;
    grep -q '^FIRST RUN OK$' "$work/first_run.log" || { tail -n 40 "$work/first_run.log"; fail "the first run failed (exit code $code)"; }
    grep '^first run:' "$work/first_run.log"
    say "the pictures of docs/install.md"
    for name in 1_missing 5_downloading 7_installed; do
        inside convert "$work/shots/install_$name.png" -crop 348x390+1224+460 +repage "$work/shots/crop_$name.png"
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
    two_blenders
}

# The engine is installed anew while another Blender works with it: that one finishes, and what it used goes afterwards.
two_blenders() {
    say "an upgrade while another Blender works"
    local engine old job worker
    engine=$(dirname "$(find "$work/new cömer" -name engine.json)")
    old=$(sed -n 's/.*"folder": "\(e[0-9]*\)".*/\1/p' "$engine/engine.json")
    newcomer blender -b "$work/first run/edit.blend" --command flow_inpaint --strip Street --mask-channel 3 --preset high >"$work/other.log" 2>&1 &
    job=$!
    while kill -0 "$job" 2>/dev/null && ! grep -q "Following the motion" "$work/other.log"; do sleep 0.1; done
    worker=$(pgrep -f "^$engine/$old/bin/python -m flow_inpaint serve") || { cat "$work/other.log"; fail "the other Blender has no engine at work"; }
    kill -STOP "$worker"  # it is to be at work for as long as the installation takes
    newcomer blender -b --online-mode --command flow_inpaint --install-engine --torch none >"$work/engine.log" 2>&1 ||
        { kill -CONT "$worker"; cat "$work/engine.log"; fail "the engine was not installed while another Blender works"; }
    [ -d "$engine/$old/lib" ] || fail "the engine was taken away from the Blender that works with it"
    kill -CONT "$worker"
    wait "$job" || { cat "$work/other.log"; fail "the other Blender's job failed"; }
    for _ in 1 2 3; do  # a job does not wait until all of it is deleted: what is left goes with the next one
        newcomer blender -b "$work/first run/edit.blend" --command flow_inpaint --strip Street --mask-channel 3 --preset draft >"$work/engine.log" 2>&1 ||
            { cat "$work/engine.log"; fail "the new engine does not do the job"; }
        [ -e "$engine/$old" ] || break
        say "the engine before is not all gone yet"
    done
    [ ! -e "$engine/$old" ] || fail "what nobody uses any more stays: $engine/$old"
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
