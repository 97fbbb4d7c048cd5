"""Names that differ wherever the objects that users pass do: the name of a callable, and a hash of its state."""

from __future__ import annotations

import hashlib
import numbers
import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import partial
from types import BuiltinMethodType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

from .callables import name_of

SCALARS = (str, bytes, numbers.Number, type(None), type(...), np.dtype, torch.dtype, torch.device)


def state_name(choice: object) -> str:
    """``name_of(choice)``, with a hash of the object's state where that name does not tell it.

    The state of an object is its attributes, or what its class gives to ``pickle``. That of a function is what it
    captures, and of a lambda also its code. A class with a ``__repr__`` of its own is believed to show what matters.
    Equal objects have equal names in all processes.

    Raises TypeError if neither tells the state, e.g. that of a lock or a generator.
    """
    kind = choice if hasattr(choice, "__qualname__") else type(choice)
    try:
        if _is_told(choice):
            return name_of(choice)
        state = _state(choice, ())
    except (TypeError, AttributeError, RuntimeError, pickle.PicklingError) as error:
        remedy = "give its class a `__repr__` that shows its settings"
        raise TypeError(f"{name_of(kind)}: nothing tells two such objects apart ({error}); {remedy}") from error
    return f"{name_of(kind)} #{hashlib.sha256(state.encode()).hexdigest()[:16]}"


def _is_told(value: object) -> bool:
    """Whether ``name_of`` tells all of an object's state, and the same in every process."""
    if isinstance(value, SCALARS):
        return True
    if isinstance(value, (tuple, list)):
        return all(map(_is_told, value))
    if isinstance(value, dict):
        return all(map(_is_told, (*value.keys(), *value.values())))
    if isinstance(value, (np.ndarray, torch.Tensor, torch.nn.Module, set, frozenset, MethodType)):
        return False  # long arrays are shortened, modules leave out their weights, and the order of sets is random
    if isinstance(value, partial):
        return _is_told((value.func, value.args, value.keywords))
    if isinstance(value, BuiltinMethodType):
        return isinstance(value.__self__, (ModuleType, type(None)))
    if hasattr(value, "__qualname__"):
        return not _captured(value)
    if is_dataclass(value) and hasattr(type(value).__repr__, "__wrapped__"):  # not one that its author wrote
        hidden = any(field.compare and not field.repr for field in fields(value))
        return not hidden and all(_is_told(getattr(value, field.name)) for field in fields(value) if field.repr)
    if type(value).__repr__ is object.__repr__:
        return not _captured(type(value)) and not any(part != {} for part in _reduced(value)[1:])
    return not any(mark in repr(value) for mark in (" at 0x", "array(", "tensor("))


def _state(value: object, above: tuple[int, ...]) -> str:
    """All of an object's state as text. ``above`` are the ids of the objects that it is a part of, for circles."""
    if id(value) in above:
        return f"circle of {len(above) - above.index(id(value))}"
    inner: Callable[[object], str] = partial(_state, above=(*above, id(value)))
    kind = name_of(type(value))
    if isinstance(value, SCALARS):
        return f"{kind} {value!r}"
    if isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        return f"{kind} {value.dtype} {tuple(value.shape)} {_hashed(flat.numpy().tobytes())}"
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return f"{kind} {value.dtype.descr} {value.shape} {_hashed(value.tobytes())}"
    if isinstance(value, dict):
        return _joined(kind, sorted(f"{inner(key)}: {inner(item)}" for key, item in value.items()))
    if isinstance(value, (set, frozenset)):
        return _joined(kind, sorted(map(inner, value)))
    if isinstance(value, (tuple, list)):
        return _joined(kind, map(inner, value))
    if isinstance(value, partial):
        return _joined(kind, map(inner, (value.func, value.args, value.keywords)))
    if isinstance(value, (MethodType, BuiltinMethodType)):
        return _joined(name_of(value), [inner(value.__self__)])
    if hasattr(value, "__qualname__"):
        return _joined(name_of(value), map(inner, _captured(value)))
    if isinstance(value, ModuleType):
        return value.__name__
    if is_dataclass(value) and hasattr(type(value).__repr__, "__wrapped__"):
        told = [field.name for field in fields(value) if field.compare or field.repr]
        return _joined(inner(type(value)), (f"{name}={inner(getattr(value, name))}" for name in told))
    if _is_told(value):
        return f"{inner(type(value))} {name_of(value)}"
    return _joined(inner(type(value)), map(inner, _reduced(value)))


def _captured(function: Any) -> tuple[object, ...]:
    """What a function or class holds besides the code under its name: nothing if a module or class defines it."""
    if isinstance(function, type):
        return tuple(_members(function)) if "<" in function.__qualname__ else ()
    if not isinstance(function, FunctionType):
        # Numba, lru_cache and others keep the function that they call.
        inner = getattr(function, "py_func", getattr(function, "__wrapped__", None))
        return _captured(inner) if inner else ()
    code = function.__code__
    if "<" not in code.co_qualname:
        return ()
    cells = [_content(cell) for cell in function.__closure__ or ()]
    held = [part for part in (cells, function.__defaults__, function.__kwdefaults__) if part]
    return (*held, *(_code(code) if code.co_name == "<lambda>" else ()))


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _code(code: CodeType) -> tuple[object, ...]:
    constants = [_code(part) if isinstance(part, CodeType) else part for part in code.co_consts]
    return code.co_code, constants, code.co_names


def _members(kind: type) -> Iterator[object]:
    """What the methods and attributes of a class, which a function has defined, hold."""
    for name, part in sorted(vars(kind).items()):
        if isinstance(part, property):
            yield name, part.fget
        elif isinstance(part, (staticmethod, classmethod)):
            yield name, part.__func__
        elif isinstance(part, FunctionType) or not (name.startswith(("__", "_abc_")) or hasattr(part, "__objclass__")):
            yield name, part


def _reduced(value: object) -> tuple[Any, ...]:
    """What ``pickle`` would write: how to make the object, and with which state. Empty parts are left out."""
    reduced = value.__reduce_ex__(2)
    if isinstance(reduced, str):
        return (reduced,)
    make, arguments, *rest = reduced
    parts = [[part for part in arguments if part is not type(value)], *rest]
    whole = [list(part) if isinstance(part, Iterator) else part for part in parts]
    return (make, *(part for part in whole if part is not None and part != []))


def _hashed(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _joined(name: str, parts: Iterable[str]) -> str:
    return f"{name}({', '.join(parts)})"
