#!/bin/sh
# How the models in synthgen/bundled were made: sh docs/results/bundled.sh, in a checkout. Hours on one core; figures in images.md.
# The large ones were trained to the first number of steps, looked at, and trained on to the second: the learning rate
# follows the share that is done, and rose again. The presets' sampling sections follow from the cards.
set -eu
export OMP_NUM_THREADS=1

grow() { # data set, run, training steps, steps at the end
    synthgen train "$1" --set training.steps="$3" --set sampling.card=never --out "$2"
    synthgen train "$1" --resume --set training.steps="$4" --set sampling.card=never --out "$2"
}

card() { # run, samples, guidance
    synthgen runs card "$1" --samplers dpm++2m --steps 5,8,12 --count "$2" --repeats 2 --guidance "$3"
}

fast() { # run, its few-step version, steps, guidance of the teacher, samples of the card
    synthgen train --distill "$1" --set training.batch_size=64 --set training.steps="$3" --set sampling.card=never \
        --set diffusion.label_dropout=0 --set distill.guidance_scale="$4" --out "$2"
    synthgen runs card "$2" --count "$5" --repeats 2
}

grow mnist first/mnist 12000 20000
fast first/mnist runs/mnist-fast 2400 1.25 1500
# Attention at 7 x 7 came later, so that `synthgen explain` has something to read; it begins by adding nothing. A few-step
# version of this one (2,800 steps) was no better, .236 and .168 in 2 and 3 steps where mnist-fast has .221 and .173, and slower.
synthgen train mnist --from first/mnist --set 'model.attention_resolutions=[7]' --set training.learning_rate=1e-3 \
    --set training.steps=9000 --set sampling.card=never --out runs/mnist
card runs/mnist 1500 1,1.15,1.25

grow fashion-mnist runs/fashion-mnist 5500 10000
card runs/fashion-mnist 1000 1,1.25,1.5
fast runs/fashion-mnist runs/fashion-mnist-fast 1800 1.5 1000

for name in mnist mnist-fast fashion-mnist fashion-mnist-fast; do
    synthgen export "runs/$name" --format safetensors --dtype fp16 --out "exported/$name"
    cp "exported/$name/model.safetensors" "synthgen/bundled/$name.safetensors"
done
