"""Version numbers of three parts, and which one a change asks for (https://semver.org)."""

import re
from enum import IntEnum
from typing import NamedTuple


class Impact(IntEnum):
    """Which part of the number a change asks for."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3


class Version(NamedTuple):
    """For example 1.0.0; versions compare as they should."""

    major: int
    minor: int
    patch: int

    @classmethod
    def read(cls, text: str) -> "Version":
        """Read `1.0.0`.

        Raises:
            ValueError: it is anything else.

        """
        if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", text):
            raise ValueError(f"{text!r} is no version: it has three numbers, such as 1.0.0")
        return cls(*map(int, text.split(".")))

    def after(self, impact: Impact) -> "Version":
        """The lowest version that tells of such a change. Below 1.0.0 the second number tells what breaks."""
        if not self.major and impact:
            impact = Impact.MINOR if impact is Impact.MAJOR else Impact.PATCH
        steps = {
            Impact.NONE: self,
            Impact.PATCH: self._replace(patch=self.patch + 1),
            Impact.MINOR: Version(self.major, self.minor + 1, 0),
            Impact.MAJOR: Version(self.major + 1, 0, 0),
        }
        return steps[impact]

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"
