#!/bin/sh
# How the models in synthgen/bundled were made: sh docs/results/bundled.sh, in a checkout. Hours on one core; figures in images.md.
# The large ones were trained to the first number of steps, looked at, and trained on to the second: the learning rate
# follows the share that is done, and rose again. The presets' sampling sections follow from the cards.
set -eu
export OMP_NUM_THREADS=1

make() { # data set, training steps, steps at the end, steps of the distillation, guidance of its teacher; of the card: samples, guidance
    synthgen train "$1" --set training.steps="$2" --set sampling.card=never --out "runs/$1"
    synthgen train "$1" --resume --set training.steps="$3" --set sampling.card=never --out "runs/$1"
    synthgen runs card "runs/$1" --samplers dpm++2m --steps 5,8,12 --count "$6" --repeats 2 --guidance "$7"
    synthgen train --distill "runs/$1" --set training.batch_size=64 --set training.steps="$4" --set sampling.card=never \
        --set diffusion.label_dropout=0 --set distill.guidance_scale="$5" --out "runs/$1-fast"
    synthgen runs card "runs/$1-fast" --count "$6" --repeats 2
    for name in "$1" "$1-fast"; do
        synthgen export "runs/$name" --format safetensors --dtype fp16 --out "exported/$name"
        cp "exported/$name/model.safetensors" "synthgen/bundled/$name.safetensors"
    done
}

make mnist 12000 20000 2400 1.25 1500 1,1.15,1.25
make fashion-mnist 5500 10000 1800 1.5 1000 1,1.25,1.5
