#!/usr/bin/env python3
"""Makes C structs and descriptor tables (src/shape/shape.h) from one model/<service>.api.

  tools/apigen.py model/ecs.api OUT_DIR      writes OUT_DIR/ecs.h and OUT_DIR/ecs.c

The .api language, a line each; members stand indented below their struct:
  service NAME / sdk_id / full_name / protocols / api_version / ...   facts of the service
  use NAME                             shapes of NAME.api beside this file can be named as NAME.SHAPE
  operation NAME [wrapper=XML]         input is NAME$Input, output NAME$Output
  error NAME STATUS sender|server [code=CODE]
  struct NAME                          then:  member SHAPE [required] [token] [query=X] [xml=X] [flattened]
  enum NAME VALUE ...
  list NAME ITEM [item=XML] [flattened] [min=N] [max=N]
  map NAME KEY VALUE [flattened]
  string|blob|boolean|integer|long|float|double|timestamp NAME [min=] [max=] [pattern="..."] [format=] [sensitive]
"""
import pathlib, re, shlex, sys

SCALARS = {
    "string": ("struct str", "SHAPE_STRING"), "blob": ("struct str", "SHAPE_BLOB"),
    "boolean": ("struct opt_bool", "SHAPE_BOOLEAN"), "integer": ("struct opt_i32", "SHAPE_INTEGER"),
    "long": ("struct opt_i64", "SHAPE_LONG"), "float": ("struct opt_f64", "SHAPE_FLOAT"),
    "double": ("struct opt_f64", "SHAPE_DOUBLE"), "timestamp": ("struct opt_time", "SHAPE_TIMESTAMP"),
}
KEYWORDS = {"default", "register", "int", "long", "short", "signed", "unsigned", "static", "switch", "case", "for",
            "if", "do", "while", "return", "union", "struct", "enum", "volatile", "const", "auto", "break", "char",
            "continue", "double", "else", "extern", "float", "goto", "inline", "restrict", "sizeof", "typedef", "void"}


def snake(name):
    name = re.sub(r"[^A-Za-z0-9]+", "_", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    name = re.sub(r"_+", "_", name).strip("_").lower()
    return name + "_" if name in KEYWORDS else name


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?") + '"'


def split(line):
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    lexer.escape, lexer.escapedquotes = "\\", '"'
    lexer.quotes = '"'
    return list(lexer)


def flags(words):
    plain, keyed = set(), {}
    for w in words:
        if "=" in w:
            k, v = w.split("=", 1)
            keyed[k] = v
        else:
            plain.add(w)
    return plain, keyed


class Api:
    def __init__(self, path):
        self.meta, self.operations, self.errors, self.shapes, self.used = {}, [], [], {}, {}
        owner = None
        for number, raw in enumerate(path.read_text().splitlines(), 1):
            if not raw.strip() or raw.lstrip().startswith("#"):
                continue
            words = split(raw)
            if raw[0] == " ":
                owner["members"].append(words)
                continue
            kind, rest = words[0], words[1:]
            if kind in ("struct", "enum", "list", "map") or kind in SCALARS:
                owner = {"kind": kind, "name": rest[0], "words": rest[1:], "members": [], "line": number}
                if rest[0] in self.shapes:
                    sys.exit(f"{path}:{number}: shape {rest[0]} stands twice")
                self.shapes[rest[0]] = owner
            elif kind == "use":
                self.used[rest[0]] = Api(path.parent / f"{rest[0]}.api")
            elif kind == "operation":
                self.operations.append(rest)
            elif kind == "error":
                self.errors.append(rest)
            else:
                self.meta[kind] = " ".join(rest) or "yes"
        self.name = self.meta["service"]
        for shape in self.shapes.values():
            for target in self.targets(shape):
                if self.find(target) is None:
                    sys.exit(f"{path}:{shape['line']}: {shape['name']} names the unknown shape {target}")

    def find(self, name):
        """The shape of that name, here or (ecs.Task) in a used file; None when there is none."""
        owner, _, rest = name.rpartition(".")
        return (self.used[owner].shapes if owner in self.used else {} if owner else self.shapes).get(rest)

    @staticmethod
    def targets(shape):
        if shape["kind"] == "struct":
            return [m[1] for m in shape["members"]]
        return {"list": shape["words"][:1], "map": shape["words"][:2]}.get(shape["kind"], [])


class Writer:
    def __init__(self, api):
        self.api, self.p = api, api.name

    def c_name(self, shape_name):
        owner, _, shape_name = shape_name.rpartition(".")
        p = owner or self.p
        m = re.fullmatch(r"(.*)\$(Input|Output)", shape_name)
        if m:
            return f"{p}_{snake(m[1])}_" + ("in" if m[2] == "Input" else "out")
        name = f"{p}_{snake(shape_name)}"
        return name + "_shape" if re.search(r"_(in|out)$", name) else name

    def table(self, shape_name):
        return "shape_" + self.c_name(shape_name)

    def slot(self, shape_name):
        """The C type of a value in line."""
        shape = self.api.find(shape_name)
        if shape["kind"] in SCALARS:
            return SCALARS[shape["kind"]][0]
        return ("enum " if shape["kind"] == "enum" else "struct ") + self.c_name(shape_name)

    def member_type(self, shape_name):
        is_struct = self.api.find(shape_name)["kind"] == "struct"
        return self.slot(shape_name) + (" *" if is_struct else " ")

    def by_kind(self, *kinds):
        return [s for s in self.api.shapes.values() if s["kind"] in kinds]

    def enum_constant(self, shape_name, value):
        word = re.sub(r"[^A-Za-z0-9]+", "_", value).strip("_").upper() or "EMPTY"
        if word == "UNSET":
            word = "UNSET_"
        return f"{self.c_name(shape_name).upper()}_{word}"

    def header(self):
        out = [f"/* Made by tools/apigen.py from model/{self.p}.api; not edited by hand. */", "#pragma once", "",
               *[f'#include "gen/{used}.h"' for used in self.api.used], '#include "shape/shape.h"', ""]
        for s in self.by_kind("enum"):
            constants = [self.enum_constant(s["name"], v) for v in s["words"]]
            if len(set(constants)) != len(constants):
                constants = [f"{c}_{i}" for i, c in enumerate(constants, 1)]
            s["constants"] = constants
            out.append(f"enum {self.c_name(s['name'])} {{")
            out.append(f"    {self.c_name(s['name']).upper()}_UNSET,")
            out += [f"    {c}," for c in constants] + ["};", ""]
        out += [f"struct {self.c_name(s['name'])};" for s in self.by_kind("struct", "list", "map")]
        out += [f"struct {self.c_name(s['name'])}_entry;" for s in self.by_kind("map")] + [""]
        for s in self.by_kind("list"):
            out += [f"struct {self.c_name(s['name'])} {{", f"    {self.slot(s['words'][0])} *items;",
                    "    size_t count;", "    bool is_set;", "};", ""]
        for s in self.by_kind("map"):
            out += [f"struct {self.c_name(s['name'])} {{", f"    struct {self.c_name(s['name'])}_entry *items;",
                    "    size_t count;", "    bool is_set;", "};", ""]
        for s in self.by_kind("struct"):
            out.append(f"struct {self.c_name(s['name'])} {{")
            out += [f"    {self.member_type(m[1])}{snake(m[0])};" for m in s["members"]]
            if not s["members"]:
                out.append("    char nothing; /* the shape has no members */")
            out += ["};", ""]
        for s in self.by_kind("map"):
            out += [f"struct {self.c_name(s['name'])}_entry {{", f"    {self.slot(s['words'][0])} key;",
                    f"    {self.slot(s['words'][1])} value;", "};", ""]
        out += [f"extern const struct shape {self.table(s['name'])};" for s in self.api.shapes.values()] + [""]
        for e in self.api.errors:
            out.append(f"extern const struct err_public {self.p}_error_{snake(e[0])};")
        if self.api.operations:
            out += self.handlers()
        return "\n".join(out) + "\n"

    def handlers(self):
        p = self.p
        out = ["", f"struct {p}; /* the service's own state, passed to every handler */", "",
               "/* One function an operation; NULL: not offered. */", f"struct {p}_handlers {{"]
        for words in self.api.operations:
            op = snake(words[0])
            out.append(f"    enum err (*{op})(struct op *op, struct {p} *{p}, const struct {p}_{op}_in *in,")
            out.append(f"                     struct {p}_{op}_out *ret);")
        out += ["};", "", f"extern const struct shape_service {p}_service;"]
        for words in self.api.operations:
            out.append(f"extern const struct shape_operation {p}_op_{snake(words[0])};")
        out += ["", "/* The client's side; aws/client.h defines aws_call. */", "#ifndef AWS_CALL", "#define AWS_CALL 1", "struct aws_client;",
                "enum err aws_call(struct op *op, struct aws_client *client, const struct shape_service *service,",
                "                  const struct shape_operation *operation, const void *in, void *ret);", "#endif", ""]
        for words in self.api.operations:
            op = snake(words[0])
            out += [f"static inline enum err {p}_call_{op}(struct op *op, struct aws_client *client,",
                    f"                               const struct {p}_{op}_in *in, struct {p}_{op}_out *ret)", "{",
                    f"    return aws_call(op, client, &{p}_service, &{p}_op_{op}, in, ret);", "}", ""]
        return out

    def bounds(self, keyed):
        out = []
        for key in ("min", "max"):
            if key in keyed:
                out.append(f".has_{key} = true, .{key} = {float(keyed[key])!r}")
        return out

    def shape_table(self, s):
        name, kind = s["name"], s["kind"]
        plain, keyed = flags(s["words"] if kind in SCALARS else s["words"][1:] if kind == "list" else
                             s["words"][2:] if kind == "map" else [])
        parts = [f".name = {c_string(name.split('$')[0])}", f".bytes = sizeof({self.slot(name)})"]
        pre = []
        if kind in SCALARS:
            parts.insert(0, f".type = {SCALARS[kind][1]}")
            if "pattern" in keyed:
                parts.append(f".pattern = {c_string(keyed['pattern'])}")
            if "format" in keyed:
                parts.append(".time_format = " + {"iso8601": "SHAPE_TIME_ISO8601",
                                                  "unixTimestamp": "SHAPE_TIME_EPOCH"}[keyed["format"]])
        elif kind == "enum":
            pre = [f"static const char *const names_{self.c_name(name)}[] = {{", "    NULL,"]
            pre += [f"    {c_string(v)}," for v in s["words"]] + ["};"]
            parts = [".type = SHAPE_ENUM"] + parts + [f".enum_names = names_{self.c_name(name)}",
                                                      f".enum_count = {len(s['words'])}"]
        elif kind == "list":
            parts = [".type = SHAPE_LIST"] + parts + [f".item = &{self.table(s['words'][0])}",
                                                      f".item_name = {c_string(keyed.get('item', 'member'))}"]
        elif kind == "map":
            entry = f"struct {self.c_name(name)}_entry"
            parts = [".type = SHAPE_MAP"] + parts + [
                f".key = &{self.table(s['words'][0])}", f".item = &{self.table(s['words'][1])}",
                '.item_name = "entry"', f".entry_bytes = sizeof({entry})", f".value_offset = offsetof({entry}, value)"]
        elif kind == "struct":
            pre, parts = self.member_table(s, parts)
        if "flattened" in plain:
            parts.append(".is_flattened = true")
        parts += self.bounds(keyed)
        return pre + [f"const struct shape {self.table(name)} = {{"] + [f"    {p}," for p in parts] + ["};", ""]

    def member_table(self, s, parts):
        c_name = self.c_name(s["name"])
        parts = [".type = SHAPE_STRUCT"] + parts
        if not s["members"]:
            return [], parts
        pre = [f"static const struct shape_member members_{c_name}[] = {{"]
        for m in s["members"]:
            plain, keyed = flags(m[2:])
            target_plain, _ = flags(self.api.find(m[1])["words"]) if self.api.find(m[1])["kind"] != "enum" else (set(), {})
            bits = [b for b, on in (("SHAPE_REQUIRED", "required" in plain), ("SHAPE_TOKEN", "token" in plain),
                                    ("SHAPE_SENSITIVE", "sensitive" in target_plain or "sensitive" in plain)) if on]
            pre.append(f"    {{.name = {c_string(m[0])}, .query_name = {c_string(keyed.get('query', m[0]))}, "
                       f".xml_name = {c_string(keyed.get('xml', m[0]))}, .shape = &{self.table(m[1])}, "
                       f".offset = offsetof(struct {c_name}, {snake(m[0])}), .flags = {' | '.join(bits) or '0'}}},")
        pre.append("};")
        return pre, parts + [f".members = members_{c_name}", f".member_count = {len(s['members'])}"]

    def source(self):
        out = [f"/* Made by tools/apigen.py from model/{self.p}.api; not edited by hand. */",
               f'#include "gen/{self.p}.h"', ""]
        for s in self.api.shapes.values():
            out += self.shape_table(s)
        for e in self.api.errors:
            _, keyed = flags(e[3:])
            out.append(f"const struct err_public {self.p}_error_{snake(e[0])} = {{.code = "
                       f"{c_string(keyed.get('code', e[0]))}, .shape_name = {c_string(e[0])}, .http_status = {e[1]}, .is_server_fault = "
                       f"{'true' if e[2] == 'server' else 'false'}}};")
        if self.api.operations:
            out += self.operation_tables()
        return "\n".join(out) + "\n"

    def operation_tables(self):
        p, meta = self.p, self.api.meta
        out = [""]
        for words in self.api.operations:
            op, (_, keyed) = snake(words[0]), flags(words[1:])
            wrapper = c_string(keyed["wrapper"]) if "wrapper" in keyed else "NULL"
            out += [f"static enum err call_{op}(const void *handlers, void *service, struct op *op, const void *in, void *ret)",
                    "{", f"    const struct {p}_handlers *table = handlers;", f"    if (table->{op} == NULL) {{",
                    f'        return op_fail(op, ERR_UNSUPPORTED, "{words[0]} is not offered here");', "    }",
                    f"    return table->{op}(op, service, in, ret);", "}", "",
                    f"const struct shape_operation {p}_op_{op} = {{", f"    .name = {c_string(words[0])},",
                    f"    .in = &shape_{p}_{op}_in,", f"    .out = &shape_{p}_{op}_out,",
                    f"    .result_wrapper = {wrapper},", f"    .call = call_{op},", "};", ""]
        out += [f"static const struct shape_operation *const operations[] = {{"]
        out += [f"    &{p}_op_{snake(w[0])}," for w in self.api.operations] + ["};", ""]
        if self.api.errors:
            out += ["static const struct err_public *const errors[] = {"]
            out += [f"    &{p}_error_{snake(e[0])}," for e in self.api.errors] + ["};", ""]
        protocols = " | ".join("SHAPE_PROTOCOL_" + w.upper() for w in meta["protocols"].split())
        text = lambda key: c_string(meta[key]) if key in meta else "NULL"
        out += [f"const struct shape_service {p}_service = {{", f"    .name = {c_string(p)},",
                f"    .sdk_id = {text('sdk_id')},", f"    .full_name = {text('full_name')},",
                f"    .protocols = {protocols},", f"    .json_version = {text('json_version')},",
                f"    .target_prefix = {text('target_prefix')},", f"    .api_version = {text('api_version')},",
                f"    .xmlns = {text('xmlns')},", f"    .signing_name = {text('signing_name')},",
                f"    .endpoint_prefix = {text('endpoint_prefix')},",
                f"    .is_global = {'true' if 'global' in meta else 'false'},",
                f"    .is_query_compatible = {'true' if 'query_compatible' in meta else 'false'},",
                "    .operations = operations,", f"    .operation_count = {len(self.api.operations)},"]
        if self.api.errors:
            out += ["    .errors = errors,", f"    .error_count = {len(self.api.errors)},"]
        return out + ["};"]


def main():
    api = Api(pathlib.Path(sys.argv[1]))
    out_dir = pathlib.Path(sys.argv[2])
    writer = Writer(api)
    (out_dir / f"{api.name}.h").write_text(writer.header())
    (out_dir / f"{api.name}.c").write_text(writer.source())


if __name__ == "__main__":
    main()
