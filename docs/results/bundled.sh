#!/bin/sh
# How the models in synthgen/bundled were made: sh docs/results/bundled.sh, in a checkout. Hours on one core; figures in images.md.
# The cards of that day: --guidance 1,1.25,1.5 for the large models; of Fashion-MNIST with --count 1000, and for the
# large one --samplers dpm++2m --steps 5,8,12. The presets' sampling sections follow from them and were put in after.
set -eu
export OMP_NUM_THREADS=1

make() { # data set, training steps, steps of the distillation
    synthgen train "$1" --set training.steps="$2" --set sampling.card=never --out "runs/$1"
    synthgen runs card "runs/$1" --count 1500 --repeats 2 --guidance 1,1.25,1.5
    synthgen train --distill "runs/$1" --set training.batch_size=64 --set training.steps="$3" --set sampling.card=never \
        --out "runs/$1-fast"
    synthgen runs card "runs/$1-fast" --count 1500 --repeats 2
    for name in "$1" "$1-fast"; do
        synthgen export "runs/$name" --format safetensors --dtype fp16 --out "exported/$name"
        cp "exported/$name/model.safetensors" "synthgen/bundled/$name.safetensors"
    done
}

make mnist 12000 2400
make fashion-mnist 5500 1800
