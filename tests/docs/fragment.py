"""``python fragment.py FILE``: runs a Python file that may ``await`` at its top level."""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
import types
from pathlib import Path


def main(path: str) -> None:
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.path[0] = str(Path.cwd())
    code = compile(
        Path(path).read_text(encoding="utf-8"),
        path,
        "exec",
        ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    function = types.FunctionType(code, vars(module))
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(function())
    else:
        function()


if __name__ == "__main__":
    main(sys.argv[1])
