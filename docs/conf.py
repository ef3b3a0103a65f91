"""The documentation site: ``make docs`` builds it into build/docs, without a warning."""

import re

import ortmmap

project = "ortmmap"
author = "the ortmmap authors"
version = release = ortmmap.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"ortmmap {version}"
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

_PYTHONS_OWN = "int,list,tuple,BaseException,Exception,OSError"  # whose methods are left out
autodoc_default_options = {"members": True, "inherited-members": _PYTHONS_OWN}
autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # docstrings give the types, with shapes and units
napoleon_google_docstring = False
napoleon_use_rtype = False


def _without_self(_app, _what, _name, _object, _options, signature, returns):
    """Take `self` out of the signatures that Cython has put into docstrings."""
    return signature and re.sub(r"^\(self(, )?(/, )?", "(", signature), returns


def setup(app):
    """Connect the function above; Sphinx calls this."""
    app.connect("autodoc-process-signature", _without_self)
