#!/bin/sh
# Makes the figures of augmentation.md; the generators alone are trained for an hour and a half.
#
#   docs/results/augmentation.sh [FOLDER]        (default: augmentation-study)
#
# Needs the full MNIST and Fashion-MNIST (SYNTHGEN_DATA_DIR, or they are fetched on first use). Called again, it goes on
# where it stopped: no finished generator, sample or classifier is made twice.
set -eu
work=${1:-augmentation-study}
export OMP_NUM_THREADS=1
mkdir -p "$work"

# A generator and 10,000 samples of it, or what is there of both.
generate() { # NAME, samples, then what `synthgen train` is given
    name=$1 count=$2
    shift 2
    [ -d "$work/$name" ] && again=--resume || again=
    [ -f "$work/$name/.done" ] || synthgen train "$@" --out "$work/$name" $again
    touch "$work/$name/.done"
    [ -d "$work/$name-samples" ] && again=--resume || again=
    synthgen sample "$work/$name" --count "$count" --format npz --out "$work/$name-samples" $again
}

# Classifiers: 5 seeds, every variant, equal steps.
compare() { # NAME, then what `synthgen augment-classifier` is given
    name=$1
    shift
    synthgen augment-classifier --batch-size 128 "$@" --out "$work/$name" --resume
}

# Leak-free: the generator is trained on exactly the classifier's images (data.limit and --real-size name the same ones).
generate mnist-10000 10000 mnist --set data.limit=10000 --budget 30m
generate mnist-1000 10000 mnist --set data.limit=1000 --budget 10m
generate mnist-100 10000 mnist --set data.limit=100 --budget 6m
generate fashion-1000 10000 fashion-mnist --set data.limit=1000 --budget 10m
compare leak-free-10000 --steps 300 --real mnist --real-size 10000 --synthetic "$work/mnist-10000-samples"
compare leak-free-1000 --steps 200 --real mnist --real-size 1000 --synthetic "$work/mnist-1000-samples"
compare leak-free-100 --steps 200 --real mnist --real-size 100 --synthetic "$work/mnist-100-samples" \
    --ratio 1,10,all --filter confidence
compare fashion-1000-real --steps 200 --real fashion-mnist --real-size 1000 --synthetic "$work/fashion-1000-samples"

# Naive: the generator saw all 60,000 images, the classifier has 10,000 of them.
generate mnist-60000 60000 mnist --budget 30m
compare naive-10000 --steps 300 --real mnist --real-size 10000 --synthetic "$work/mnist-60000-samples" --count 10000 \
    --allow-leak

# Where a jump comes from: half a pass over each set instead of equal steps. Real images: 39 steps in the first line; real and
# 60,000 synthetic images: 273 steps in the second.
compare half-pass-10000 --steps 39 --real mnist --real-size 10000 --synthetic "$work/mnist-60000-samples" --allow-leak
compare half-pass-70000 --steps 273 --real mnist --real-size 10000 --synthetic "$work/mnist-60000-samples" --allow-leak

# Rare classes: the odd digits keep a tenth of their images, for the generator as for the classifiers. All in one command.
compare rare-1000 --steps 200 --real mnist --real-size 1000 --imbalance 0.1 --train-generator mnist --budget 5m --count 2000
