"""Of well-known sets: class names, where files carry only numbers, and normalisations as published. Without torch."""

# ruff: noqa: SIM905 (as literals the lists would be two hundred lines)

from functools import cache

CIFAR10 = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())

CIFAR100 = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
    castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
    elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
    lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
    pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
    shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
    television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """.split()
)

CIFAR100_SUPERCLASSES = tuple(
    """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices
    household_furniture insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes
    large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles small_mammals trees
    vehicles_1 vehicles_2
    """.split()
)

# superclass of each of the hundred classes
CIFAR100_PARENT = tuple(
    int(number)
    for number in """
    4 1 14 8 0 6 7 7 18 3 3 14 9 18 7 11 3 9 7 11 6 11 5 10 7 6 13 15 3 15 0 11 1 10 12 14 16 9 11 5 5 19 8 8 15
    13 14 17 18 10 16 4 17 4 2 0 17 4 18 17 10 3 2 12 12 16 12 1 9 19 2 10 0 1 16 12 9 13 15 13 16 19 2 4 6 19 5
    5 8 19 18 1 2 15 6 0 17 8 14 13
    """.split()
)

DIGITS = tuple("0123456789")

FASHION = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")

KUZUSHIJI = tuple("o ki su tsu na ha ma ya re wo".split())

GLYPHS = tuple(
    """
    disc triangle star5 bar arrow two_dots ring square star4 cross heart three_dots ellipse pentagon star6 tee
    half_disc double_bar crescent hexagon burst ell drop chevron
    """.split()
)

NAMES: dict[str, tuple[str, ...]] = {
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "cifar100_coarse": CIFAR100_SUPERCLASSES,
    "digits": DIGITS,
    "fashion": FASHION,
    "glyphs": GLYPHS,
    "kuzushiji": KUZUSHIJI,
}
"""Name lists that a config may ask for, beside ImageNet's."""

#: Name -> mean and std of 0..1; those of one channel serve any number of channels.
PUBLISHED: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mnist": ((0.1307,), (0.3081,)),
    "half": ((0.5,), (0.5,)),
    "none": ((0.0,), (1.0,)),
}

IMAGENET = "imagenet"
LISTS = (*NAMES, IMAGENET)


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The thousand names of ImageNet, in the order of their WordNet numbers, as torchvision has them."""
    from torchvision.models import ResNet18_Weights

    return tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


def listed(name: str) -> tuple[str, ...]:
    """The list of this name, one of ``LISTS``."""
    return imagenet_classes() if name == IMAGENET else NAMES[name]
