"""The data sets known by name: what they are, whose they are, where their files are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from synthgen.data import celeba, cifar, imagenet
from synthgen.data.locations import data_roots

EMBEDDED = Path(__file__).parent / "embedded"
_DIGITS = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True)
class RemoteFile:
    """A file of a known set.

    sha256, size in bytes: of the content once unpacked when `unpacked` (mirrors compress differently), else as sent.
    """

    name: str
    sha256: str
    size: int
    unpacked: bool = False

    @property
    def most_bytes(self) -> int:
        """No honest server sends more: deflate adds at most 5 bytes per 16 kB block to what it cannot shrink."""
        return self.size + self.size // 1000 + 4096 if self.unpacked else self.size


@dataclass(frozen=True)
class KnownSet:
    """A data set with a name.

    folders: where it is looked for under every data folder; the first is where a download goes.
    mirrors: base addresses tried in turn; empty when only the owners hand the files out.
    counts: images per split; shape: (height, width, channels), None for images of many sizes.
    """

    name: str
    title: str
    layout: Literal["idx", "cifar10", "celeba", "imagenet"]
    counts: Mapping[str, int]
    shape: tuple[int, int, int] | None
    class_names: tuple[str, ...]
    licence: str
    citation: str
    folders: tuple[str, ...]
    mirrors: tuple[str, ...] = ()
    files: tuple[RemoteFile, ...] = field(default=(), repr=False)
    by_hand: str = ""
    embedded: bool = False

    def is_at(self, folder: Path) -> bool:
        """Whether `folder` exists and holds something that could be this set."""
        if self.layout == "idx":
            # Complete only with all four; a download that was cut off must not count as found.
            stems = [file.name.removesuffix(".gz") for file in self.files]
            return all((folder / stem).is_file() or (folder / f"{stem}.gz").is_file() for stem in stems)
        if not folder.is_dir():
            return False
        if self.layout == "cifar10":
            return cifar.cifar_at(folder) is not None
        return celeba.is_celeba(folder) if self.layout == "celeba" else imagenet.is_imagenet(folder)

    def status(self) -> tuple[Literal["embedded", "here", "download", "by_hand"], Path | None]:
        """Where the set is, with its folder when it is on this machine."""
        folder = self.find()
        if self.embedded:
            return "embedded", folder
        if folder:
            return "here", folder
        return ("download" if self.mirrors else "by_hand"), None

    def find(self) -> Path | None:
        """The first folder that holds this set, or None."""
        if self.embedded:
            return EMBEDDED / self.name
        places = [root / folder for root in data_roots() for folder in self.folders]
        return next((place for place in places if self.is_at(place)), None)


def _idx_files(*rows: tuple[str, str, int]) -> tuple[RemoteFile, ...]:
    return tuple(RemoteFile(f"{stem}-ubyte.gz", sha256, size, unpacked=True) for stem, sha256, size in rows)


_MNIST_LICENCE = "CC BY-SA 3.0"
_MNIST_CITATION = (
    "Y. LeCun, C. Cortes, C. J. C. Burges: The MNIST database of handwritten digits. "
    "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition, 1998."
)

KNOWN_SETS: dict[str, KnownSet] = {
    known.name: known
    for known in (
        KnownSet(
            name="mnist-mini",
            title="handwritten digits, a stratified sixth of MNIST, embedded",
            layout="idx",
            counts={"train": 10_000, "test": 2_000},
            shape=(28, 28, 1),
            class_names=_DIGITS,
            licence=_MNIST_LICENCE,
            citation=_MNIST_CITATION,
            folders=(),
            embedded=True,
        ),
        KnownSet(
            name="mnist",
            title="handwritten digits",
            layout="idx",
            counts={"train": 60_000, "test": 10_000},
            shape=(28, 28, 1),
            class_names=_DIGITS,
            licence=_MNIST_LICENCE,
            citation=_MNIST_CITATION,
            folders=("mnist", "MNIST/raw"),
            mirrors=(
                "https://ossci-datasets.s3.amazonaws.com/mnist",
                "https://storage.googleapis.com/cvdf-datasets/mnist",
            ),
            files=_idx_files(
                (
                    "train-images-idx3",
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                    47_040_016,
                ),
                ("train-labels-idx1", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", 60_008),
                (
                    "t10k-images-idx3",
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                    7_840_016,
                ),
                ("t10k-labels-idx1", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 10_008),
            ),
        ),
        KnownSet(
            name="fashion-mnist",
            title="articles of clothing",
            layout="idx",
            counts={"train": 60_000, "test": 10_000},
            shape=(28, 28, 1),
            class_names=(
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ),
            licence="MIT",
            citation="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST, arXiv:1708.07747. Zalando SE, 2017.",
            folders=("fashion-mnist", "FashionMNIST/raw"),
            mirrors=(
                "https://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            ),
            files=_idx_files(
                (
                    "train-images-idx3",
                    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                    47_040_016,
                ),
                ("train-labels-idx1", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9", 60_008),
                (
                    "t10k-images-idx3",
                    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                    7_840_016,
                ),
                ("t10k-labels-idx1", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", 10_008),
            ),
        ),
        KnownSet(
            name="cifar10",
            title="small photographs of animals and vehicles",
            layout="cifar10",
            counts={"train": 50_000, "test": 10_000},
            shape=(32, 32, 3),
            class_names=cifar.CLASS_NAMES,
            licence=cifar.LICENCE,
            citation="A. Krizhevsky: Learning multiple layers of features from tiny images, 2009.",
            folders=("cifar10", "cifar-10-batches-bin", "CIFAR10"),
            mirrors=("https://www.cs.toronto.edu/~kriz",),
            files=(
                RemoteFile(
                    cifar.ARCHIVE,
                    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                    170_052_171,
                ),
            ),
        ),
        KnownSet(
            name="celeba",
            title="faces; celeba:Smiling is labelled by that attribute",
            layout="celeba",
            counts={"train": 162_770, "test": 19_962},
            shape=(218, 178, 3),
            class_names=(),
            licence=celeba.LICENCE,
            citation="Z. Liu, P. Luo, X. Wang, X. Tang: Deep learning face attributes in the wild, ICCV 2015.",
            folders=("celeba", "CelebA"),
            by_hand="img_align_celeba.zip, list_attr_celeba.txt and list_eval_partition.txt",
        ),
        KnownSet(
            name="imagenet",
            title="photographs of 1,000 kinds of things (ILSVRC 2012)",
            layout="imagenet",
            counts={"train": 1_281_167, "test": 50_000},
            shape=None,
            class_names=(),
            licence=imagenet.LICENCE,
            citation="O. Russakovsky et al.: ImageNet large scale visual recognition challenge, IJCV 2015.",
            folders=("imagenet", "ILSVRC2012", "ImageNet"),
            by_hand="train/<synset>/*.JPEG and val/<synset>/*.JPEG (and LOC_synset_mapping.txt for names)",
        ),
    )
}


def known_sources() -> list[str]:
    """The names that `load_images` understands, in the order in which they are listed."""
    return list(KNOWN_SETS)
