"""Rules of the code's structure, checked on its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("infra", "components", "ops", "services", "plugins", "policy")
MAX_FILE, MAX_FUNCTION = 300, 60
#: What each package may import of the project: dependencies point one way.
MAY_IMPORT = {
    "components": {"components"},
    "infra": {"infra", "components"},
    "ops": {"ops", "infra", "components", "policy"},
    "services": {"services"},
    "plugins": set(),
    "policy": {"policy"},
}


def sources(package: str) -> list[Path]:
    return sorted(p for p in (ROOT / package).rglob("*.py") if "__pycache__" not in p.parts)


ALL = [path for package in PACKAGES for path in sources(package)]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def component_classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    for path in sources("components"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and any("ComponentResource" in ast.unparse(base) for base in node.bases):
                yield path, node


COMPONENTS = list(component_classes())
COMPONENT_IDS = [node.name for _, node in COMPONENTS]


def constructor(node: ast.ClassDef) -> ast.FunctionDef:
    return next(n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")


def test_there_are_components_to_check() -> None:
    assert {"Network", "Image", "Postgres", "Redis", "Consul", "Kong", "Service"} <= set(COMPONENT_IDS)


@pytest.mark.parametrize(("path", "node"), COMPONENTS, ids=COMPONENT_IDS)
def test_a_component_registers_itself_first_by_its_token_and_its_outputs_last(path: Path, node: ast.ClassDef) -> None:
    body = constructor(node).body
    assert ast.unparse(body[0]).startswith(f"super().__init__('nexus:index:{node.name}', name, "), path
    assert ast.unparse(body[-1]).startswith("self.register_outputs("), path
    assert sum("register_outputs" in ast.unparse(statement) for statement in body) == 1


@pytest.mark.parametrize(("path", "node"), COMPONENTS, ids=COMPONENT_IDS)
def test_a_component_takes_a_name_what_it_is_made_from_and_opts(path: Path, node: ast.ClassDef) -> None:
    taken = constructor(node).args
    arguments = [argument.arg for argument in (*taken.args, *taken.kwonlyargs)]
    assert arguments[:2] == ["self", "name"] and arguments[-1] == "opts"


@pytest.mark.parametrize(("path", "node"), COMPONENTS, ids=COMPONENT_IDS)
def test_a_components_children_have_it_as_parent_and_nothing_else_of_the_callers(
    path: Path, node: ast.ClassDef
) -> None:
    made = [
        n for n in ast.walk(constructor(node)) if isinstance(n, ast.Call) and "ResourceOptions" in ast.unparse(n.func)
    ]
    assert made, "a component makes its children's options"
    assert all(call.keywords[0].arg == "parent" and ast.unparse(call.keywords[0].value) == "self" for call in made)
    # what a resource needs wherever the component is used; anything else is the caller's to say, for all children alike
    assert {keyword.arg for call in made for keyword in call.keywords} <= {"parent", "deleted_with", "ignore_changes"}
    uses = [n for n in ast.walk(constructor(node)) if isinstance(n, ast.Name) and n.id == "opts"]
    assert len(uses) == 1, "the caller's opts go to super().__init__ alone"


def test_a_component_never_builds_a_provider() -> None:
    for path in sources("components"):
        calls = [ast.unparse(n.func) for n in ast.walk(tree(path)) if isinstance(n, ast.Call)]
        assert not [call for call in calls if call.split(".")[-1] == "Provider"], path


def test_pure_helpers_do_not_import_pulumi() -> None:
    for name in ("_naming", "_labels", "_health", "_limits"):
        assert "pulumi" not in str(imports(ROOT / "components" / f"{name}.py"))


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package: str) -> None:
    for path in sources(package):
        own = {name.split(".")[0] for name in imports(path)} & set(PACKAGES)
        assert own <= MAY_IMPORT[package], f"{path} imports {own - MAY_IMPORT[package]}"


def test_only_settings_reads_the_configuration() -> None:
    for path in sources("infra") + sources("components"):
        if path.name != "settings.py":
            text = path.read_text()
            assert "pulumi.Config" not in text and "runtime.config" not in text, path


@pytest.mark.parametrize("path", ALL, ids=[str(p.relative_to(ROOT)) for p in ALL])
def test_modules_say_what_they_are_and_stay_small(path: Path) -> None:
    module = tree(path)
    assert ast.get_docstring(module), "no docstring"
    assert len(path.read_text().splitlines()) <= MAX_FILE
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION, f"{node.name} is long"


@pytest.mark.parametrize("path", ALL, ids=[str(p.relative_to(ROOT)) for p in ALL])
def test_what_is_public_is_documented(path: Path) -> None:
    for node in tree(path).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_no_secret_is_an_environment_variable_of_a_container() -> None:
    for path in sources("components"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and "PASSWORD" in str(key.value):
                        assert str(key.value).endswith("_FILE") and "password" not in ast.unparse(value).replace(
                            "-password", ""
                        ).replace("PASSWORD_FILE", ""), path
