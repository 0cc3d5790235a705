#!/usr/bin/env python3
"""Takes the facts (names, types, numbers; no sentences) of the listed operations out of the published
service models that botocore installs, and writes model/<service>.api.

  tools/api_import.py            writes all
  tools/api_import.py --check    says what differs, exit 1; exit 0 with a word where no botocore is
"""
import json, pathlib, re, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = ROOT / "model"


def quote(text):
    return json.dumps(text, ensure_ascii=False)


def attributes(shape, kind):
    out = []
    for key in ("min", "max"):
        if key in shape:
            value = shape[key]
            out.append(f"{key}={value if isinstance(value, int) else repr(float(value))}")
    if "pattern" in shape and kind == "string":
        out.append("pattern=" + quote(shape["pattern"]))
    if shape.get("sensitive"):
        out.append("sensitive")
    return out


class Importer:
    def __init__(self, name, sdk_name, operations, model):
        self.name, self.operations, self.model = name, operations, model
        self.meta = model["metadata"]
        self.shapes = model["shapes"]
        self.is_ec2 = self.meta["protocol"] == "ec2"
        self.lines, self.done, self.queue = [], set(), []

    def use(self, shape_name):
        if shape_name not in self.done:
            self.done.add(shape_name)
            self.queue.append(shape_name)
        return shape_name

    def member_line(self, owner, name, member):
        target = self.shapes[member["shape"]]
        words = [name, self.use(member["shape"])]
        if name in owner.get("required", []):
            words.append("required")
        if member.get("idempotencyToken"):
            words.append("token")
        location = member.get("locationName")
        query = member.get("queryName")
        if self.is_ec2:
            wire = query or (location[0].upper() + location[1:] if location else name)
            if wire != name:
                words.append("query=" + wire)
        elif location and location != name:
            words.append("query=" + location)
        if location and location != name:
            words.append("xml=" + location)
        if member.get("flattened") and not target.get("flattened"):
            words.append("flattened")
        return "  " + " ".join(words)

    def struct(self, name, shape):
        self.lines.append(f"struct {name}")
        for member_name, member in shape.get("members", {}).items():
            if member.get("deprecated") and member_name in SKIP_DEPRECATED.get(self.name, ()):
                continue
            if self.shapes[member["shape"]].get("eventstream"):
                continue
            self.lines.append(self.member_line(shape, member_name, member))

    def shape(self, name):
        shape = self.shapes[name]
        kind = shape["type"]
        if kind == "structure":
            self.struct(name, shape)
        elif kind == "string" and "enum" in shape:
            self.lines.append("enum " + name + " " + " ".join(quote(v) if re.search(r'[\s"#]', v) or v == "" else v
                                                              for v in shape["enum"]))
        elif kind == "list":
            words = [f"list {name} {self.use(shape['member']['shape'])}"] + attributes(shape, kind)
            item = shape["member"].get("locationName")
            if item:
                words.append("item=" + item)
            if shape.get("flattened"):
                words.append("flattened")
            self.lines.append(" ".join(words))
        elif kind == "map":
            words = [f"map {name} {self.use(shape['key']['shape'])} {self.use(shape['value']['shape'])}"]
            if shape.get("flattened"):
                words.append("flattened")
            self.lines.append(" ".join(words + attributes(shape, kind)))
        else:
            words = [f"{kind} {name}"] + attributes(shape, kind)
            if kind == "timestamp" and "timestampFormat" in shape:
                words.append("format=" + shape["timestampFormat"])
            self.lines.append(" ".join(words))

    def head(self):
        meta = self.meta
        protocols = [p for p in meta.get("protocols", [meta["protocol"]])]
        names = {"json": "json", "query": "query", "ec2": "ec2", "smithy-rpc-v2-cbor": "cbor"}
        out = [f"# {meta.get('serviceFullName', self.name)}: names, types and numbers of the operations that we have.",
               "# Written by tools/api_import.py from the published service model; not edited by hand.",
               f"service {self.name}", f"sdk_id {meta['serviceId']}", f"full_name {meta['serviceFullName']}",
               "protocols " + " ".join(names[p] for p in protocols), f"api_version {meta['apiVersion']}",
               f"signing_name {meta.get('signingName', meta['endpointPrefix'])}",
               f"endpoint_prefix {meta['endpointPrefix']}"]
        if "jsonVersion" in meta:
            out.append(f"json_version {meta['jsonVersion']}")
        if "targetPrefix" in meta:
            out.append(f"target_prefix {meta['targetPrefix']}")
        if "xmlNamespace" in meta:
            uri = meta["xmlNamespace"]
            out.append(f"xmlns {uri if isinstance(uri, str) else uri['uri']}")
        if self.name == "ec2":
            out.append(f"xmlns http://ec2.amazonaws.com/doc/{meta['apiVersion']}/")
        if meta.get("globalEndpoint") or self.name == "iam":
            out.append("global")
        if "awsQueryCompatible" in meta:
            out.append("query_compatible")
        return out

    def error_lines(self, names):
        out = []
        for name in sorted(names):
            shape = self.shapes[name]
            error = shape.get("error", {})
            code = error.get("code", name)
            fault = "sender" if error.get("senderFault") or not (shape.get("fault") or
                                                                  error.get("httpStatusCode", 400) >= 500) else "server"
            status = error.get("httpStatusCode", 400 if fault == "sender" else 500)
            out.append(f"error {name} {status} {fault}" + (f" code={code}" if code != name else ""))
        return out

    def run(self):
        errors = set()
        operations = []
        for op_name in self.operations:
            op = self.model["operations"][op_name]
            operations.append(f"operation {op_name}" +
                              (" wrapper=" + op["output"]["resultWrapper"] if "resultWrapper" in op.get("output", {}) else ""))
            errors.update(e["shape"] for e in op.get("errors", []))
            for side, suffix in (("input", "Input"), ("output", "Output")):
                shape = self.shapes[op[side]["shape"]] if side in op else {}
                self.struct(op_name + "$" + suffix, shape)
        while self.queue:
            self.shape(self.queue.pop(0))
        structs = "\n".join(self.lines)
        structs = re.sub(r"\n(?=struct )", "\n\n", "\n" + structs)
        return "\n".join(self.head() + [""] + operations + [""] + self.error_lines(errors)) + "\n" + structs + "\n"


SKIP_DEPRECATED = {}


def load(service):
    import gzip
    import botocore
    base = pathlib.Path(botocore.__file__).parent / "data" / service
    newest = sorted(p.name for p in base.iterdir())[-1]
    path = base / newest / "service-2.json"
    if path.exists():
        return json.loads(path.read_text())
    return json.loads(gzip.open(str(path) + ".gz").read())


def main():
    wanted = {}
    for line in (MODEL / "operations.txt").read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            wanted.setdefault((words[0], words[1]), []).extend(words[2:])
    try:
        import botocore  # noqa: F401
    except ImportError:
        print("skipped: no botocore here, so the models are not compared")
        return 0
    bad = 0
    for (name, source), operations in wanted.items():
        text = Importer(name, source, operations, load(source)).run()
        path = MODEL / f"{name}.api"
        if "--check" in sys.argv:
            if path.read_text() != text:
                print(f"{path.relative_to(ROOT)} differs from botocore's model")
                bad = 1
        else:
            path.write_text(text)
            print(f"{path.relative_to(ROOT)}: {len(operations)} operations, {text.count(chr(10))} lines")
    return bad


if __name__ == "__main__":
    sys.exit(main())
