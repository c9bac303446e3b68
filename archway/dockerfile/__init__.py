"""Reading Dockerfiles: :mod:`syntax` gives their instructions, :mod:`resolver` what a build of them needs."""

from archway.dockerfile.instructions import Heredoc, Instruction
from archway.dockerfile.resolver import resolve
from archway.dockerfile.scope import global_arguments
from archway.dockerfile.stages import ImageUse, Line, Resolution, ResolvedStage, Stage, split_stages
from archway.dockerfile.syntax import Dockerfile, parse

__all__ = [
    "Dockerfile",
    "Heredoc",
    "ImageUse",
    "Instruction",
    "Line",
    "Resolution",
    "ResolvedStage",
    "Stage",
    "global_arguments",
    "parse",
    "resolve",
    "split_stages",
]
