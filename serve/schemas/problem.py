"""The body of every answer that is not a success (RFC 9457)."""

from pydantic import BaseModel, ConfigDict, Field


class FieldProblem(BaseModel):
    """What is wrong with one member of the body (`pointer`) or one query parameter (`parameter`)."""

    pointer: str | None = Field(None, examples=["/items/0/quantity"])
    parameter: str | None = Field(None, examples=["limit"])
    detail: str = Field(examples=["Input should be greater than 0"])


class ProblemOut(BaseModel):
    """application/problem+json. Some codes add members of their own."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:stampede:problem:insufficient-stock"])
    title: str = Field(examples=["There is not enough stock"])
    status: int = Field(examples=[409])
    detail: str
    instance: str = Field(examples=["/api/v1/orders"])
    code: str = Field(examples=["insufficient-stock"], description="stable; listed in the documentation")
    errors: list[FieldProblem] | None = None
