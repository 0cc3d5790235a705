#!/usr/bin/env python3
"""Fails when a file in src/<module>/ includes a header that its module may not see (src/LAYERS), when
LAYERS has a cycle, or when meson.build lets a module link what LAYERS does not name."""
import pathlib, re, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SRC = ROOT / "src"


def load_rules():
    rules = {}
    for line in (SRC / "LAYERS").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            module, _, allowed = line.partition(":")
            rules[module.strip()] = set(allowed.split())
    return rules


def module_of(path, rules):
    """The longest module name that the path starts with."""
    parts = path.split("/")
    for depth in (2, 1):
        name = "/".join(parts[:depth])
        if len(parts) > depth and name in rules:
            return name
    return None


def find_cycle(rules):
    done, active = set(), []

    def visit(module):
        if module in active:
            return active[active.index(module):] + [module]
        if module in done:
            return None
        active.append(module)
        for below in sorted(rules.get(module, ())):
            cycle = visit(below) if below != "*" else None
            if cycle:
                return cycle
        active.pop()
        done.add(module)
        return None

    return next((c for c in map(visit, sorted(rules)) if c), None)


def check_includes(rules):
    bad = []
    for path in sorted(SRC.glob("**/*.[ch]")):
        name = str(path.relative_to(SRC))
        module = module_of(name, rules)
        if module is None:
            bad.append(f"src/{name}: its folder is not in src/LAYERS")
            continue
        allowed = rules[module] | {module}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not found or "/" not in found[1]:
                continue
            owner = module_of(found[1], rules)
            is_foreign_private = found[1].endswith("_priv.h") and owner != module
            if owner is None or is_foreign_private or (owner not in allowed and "*" not in allowed):
                bad.append(f'src/{name}:{number}: {module} may not include "{found[1]}"')
    return bad


def check_links(rules):
    bad = []
    rows = re.findall(r"^  \['([a-z0-9/]+)', \[([^\]]*)\], \[[^\]]*\]\]", (ROOT / "meson.build").read_text(), re.M)
    for module, uses in rows:
        extra = set(re.findall(r"'([^']+)'", uses)) - rules.get(module, set())
        if extra and "*" not in rules.get(module, set()):
            bad.append(f"meson.build: {module} links {', '.join(sorted(extra))}, which src/LAYERS does not name")
    return bad


def main():
    rules = load_rules()
    bad = check_includes(rules) + check_links(rules)
    cycle = find_cycle(rules)
    if cycle:
        bad.append("src/LAYERS: a cycle: " + " -> ".join(cycle))
    print("\n".join(bad) if bad else f"layers: {len(rules)} modules, every include points downwards")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
