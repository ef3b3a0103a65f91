"""InferenceSession: the class of sessions that programs see, `ortmmap.Session` by its other name.

Programs mock methods of onnxruntime's class and set attributes on it, which an extension type does
not take. This class takes them; its methods are those of the extension type. See
docs/architecture.md for what that costs.
"""

from ortmmap._core import Session
from ortmmap.session.private_attributes import PrivateAttributes

__all__ = ["InferenceSession"]


class InferenceSession(Session, PrivateAttributes):  # noqa: D101 - the docstring is that class's
    __slots__ = ()
    __module__ = "ortmmap"
    __doc__ = Session.__doc__
