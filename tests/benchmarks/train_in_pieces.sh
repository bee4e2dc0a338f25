#!/usr/bin/env bash
# Trains a flow completion network, exports it, makes its tables and has it judged, in pieces: for a graphics card that is lent for
# minutes at a time. Every piece can be stopped, killed and given again, and goes on from where it was.
#
#   tests/benchmarks/train_in_pieces.sh train [--set KEY=VALUE ...]   at most BUDGET seconds (540); again until it says "Finished"
#   tests/benchmarks/train_in_pieces.sh tables                        on generated clips, and on those of DATA where that is given
#   DATA=DIR JUDGE=JUDGE.PY tests/benchmarks/train_in_pieces.sh judge    whole removals, against completion in layers (see quality.py)
#
# RUN is the run's folder (runs/dfc), CONFIG its configuration (dfc), DEVICE auto, cpu or gpu, CLIPS how many generated clips (24) of
# how many FRAMES (12), PYTHON the engine's Python. What there is to keep at the end is in RUN/export, RUN/tables and RUN/judge.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
run=${RUN:-runs/dfc} device=${DEVICE:-auto} python=${PYTHON:-python} data=${DATA:-}
piece=${1:-}
[ $# -eq 0 ] || shift

flow_inpaint() { "$python" -m flow_inpaint "$@"; }

case $piece in
train)
    flow_inpaint train dfc --config "${CONFIG:-dfc}" --out "$run" --resume --seconds "${BUDGET:-540}" --device "$device" "$@"
    # Whatever comes of the next piece, there is something to take along.
    flow_inpaint export "$run"
    ;;
tables)
    own=(--weights "ours=$run/export" --device "$device")
    for seen in true estimated; do
        # A seed that no training has: clips that no network has seen.
        generated=(--generated "${SEED:-20190616}" --clips "${CLIPS:-24}" --frames "${FRAMES:-12}" --setting square,random --seen "$seen")
        flow_inpaint evaluate table 4 "${generated[@]}" "${own[@]}" --out "$run/tables/generated-$seen"
        [ -z "$data" ] || flow_inpaint evaluate table 4 "$data" --frames 20 --seen "$seen" "${own[@]}" --out "$run/tables/data-$seen"
    done
    flow_inpaint evaluate table 3 "${generated[@]}" --weights "p = 50=$run/export" --device "$device" --out "$run/tables/mining"
    ;;
judge)
    [ -n "$data" ] && [ -n "${JUDGE:-}" ] || { echo "judge needs DATA, a folder with SEQUENCE/frames and SEQUENCE/masks, and JUDGE." >&2; exit 2; }
    mkdir -p "$run/judge"
    for sequence in "$data"/*/frames; do
        name=$(basename "$(dirname "$sequence")")
        for completion in layers dfc; do
            kept="$run/judge/$completion-$name.txt"
            # What other weights have made counts no more.
            [ "$completion" = layers ] && [ -s "$kept" ] && continue
            [ "$completion" = dfc ] && [ "$kept" -nt "$run/export/catalog.toml" ] && continue
            FLOW_INPAINT_WEIGHTS="$run/export" "$python" "$here/quality.py" --davis "$data" --judge "$JUDGE" --only "$name" \
                --completion "$completion" --device "$device" >"$kept.part"
            mv "$kept.part" "$kept"
        done
    done
    # Figures 3 and 4 of a line are PSNR and SSIM in the hole; 5 is the temporal error.
    awk '$2 != "MEAN" && ($1 == "square" || $1 == "object") {
             split(FILENAME, path, "/"); split(path[length(path)], word, "-"); key = word[1] " " $1
             count[key]++; dB[key] += $3; ssim[key] += $4; temporal[key] += $5 }
         END { for (key in count) printf "%-14s %d sequences: %.2f dB, SSIM %.3f, temporal %.2f\n", key, count[key], dB[key] / count[key], ssim[key] / count[key], temporal[key] / count[key] }' \
        "$run"/judge/*.txt | sort
    ;;
*)
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
