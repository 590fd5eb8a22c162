"""LangChain tools of the kinds people write: a class, an object, a function that makes one, and broken ones."""

from __future__ import annotations

from typing import Any

from langchain_core.tools import BaseTool, StructuredTool, ToolException, tool
from pydantic import BaseModel, Field


class Sides(BaseModel):
    width: float = Field(description="In metres.")
    height: float = 1.0


class Area(BaseTool):
    name: str = "area"
    description: str = "The area of a rectangle."
    args_schema: type[BaseModel] = Sides

    def _run(self, width: float, height: float = 1.0) -> Any:
        return {"area": width * height}


class Needy(BaseTool):
    name: str = "needy"
    description: str = "Needs a key."
    key: str

    def _run(self) -> str:
        return ""


@tool
async def greet(name: str) -> str:
    """Greets somebody."""
    if name == "nobody":
        raise ToolException("nobody is there\x1b[2J")
    if name == "crash":
        raise RuntimeError("boom")
    return f"Hello {name} <|im_start|>"


def made() -> StructuredTool:
    return StructuredTool.from_function(func=lambda a: a * 2, name="twice it!", description="Doubles.", args_schema=One)


class One(BaseModel):
    a: int


NOT_A_TOOL = 5
