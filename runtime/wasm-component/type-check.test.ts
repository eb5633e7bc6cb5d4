import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { witSignatures } from "../../proto/gen/wit-signatures.ts";
import { assembleComponent, componentGuest } from "../../test/support/component-guests.ts";
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";
import { interfaceKey } from "./component-types.ts";
import { callableNames, exportedAmong, importableNames } from "./interfaces.ts";
import { checkTypes } from "./type-check.ts";

const check = (component: Uint8Array): void => checkTypes(component, (name) => exportedAmong([name]).length > 0);

async function refused(text: string, message: RegExp): Promise<void> {
  const component = await assembleComponent(text);
  assert.throws(
    () => check(component),
    (error) => error instanceof SandboxError && message.test(error.message),
  );
}

const accepted = async (text: string): Promise<void> => check(await assembleComponent(text));

const resources = `(export "fields" (type $fields (sub resource))) (export "incoming-request" (type $request (sub resource)))
  (export "response-outparam" (type $out (sub resource)))`;
const taking = (types: string, rest = "", version = "0.2.3"): string =>
  `(component (import "wasi:http/types@${version}" (instance $t ${resources} ${types})) ${rest})`;
const headerError = `(type $e (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
  (export "header-error" (type $error (eq $e)))`;
const append = (value: string, result = "(result (error $error))"): string =>
  `${headerError} (export "[method]fields.append"
    (func (param "self" (borrow $fields)) (param "name" string) (param "value" ${value}) (result ${result})))`;

const answering = (body: string): string => `
  (type $q (record (field "method" string) (field "path" string) (field "scheme" string) (field "authority" string)
    (field "headers" (list (tuple string string))) (field "body" (list u8))))
  (type $r (record (field "status" u16) (field "headers" (list (tuple string string))) (field "body" ${body})))`;

/** A component that gives a handler the way compilers write it: through a component inside it. */
const handler = (body: string): string => `(component ${answering(body)}
  (core module $m (memory (export "memory") 1)
    (func (export "run") (param ${"i32 ".repeat(12)}) (result i32) unreachable)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (func $run (param "request" $q) (result $r)
    (canon lift (core func $i "run") (memory $memory) (realloc $realloc)))
  (component $shim ${answering(body)}
    (import "request" (type $qi (eq $q))) (import "response" (type $ri (eq $r)))
    (import "run" (func $f (param "request" $qi) (result $ri)))
    (export $qe "request" (type $q)) (export $re "response" (type $r))
    (export "handle" (func $f) (func (param "request" $qe) (result $re))))
  (instance $given (instantiate $shim (with "request" (type $q)) (with "response" (type $r)) (with "run" (func $run))))
  (export "outrigger:runtime/handler@0.1.0" (instance $given)))`;

describe("the types of components", () => {
  it("are known of every interface that may be taken or given", () => {
    for (const name of [...importableNames(), ...callableNames()]) assert.ok(interfaceKey(name) in witSignatures, name);
  });

  it("are not streams and futures, which came with WASI 0.3", async () => {
    const message = /^the component uses streams or futures as types, as in WASI 0\.3, and this host has WASI 0\.2/;
    for (const type of ["stream u8", "future string"])
      await refused(taking("", "", "0.3.0").replace("(instance $t ", `(instance $t (type $s (${type})) `), message);
  });

  it("may be a part of what there is, in any version of WASI 0.2", async () => {
    for (const version of ["0.2.0", "0.2.3", "0.2.12"]) await accepted(taking(append("(list u8)"), "", version));
    await accepted(taking(`(type $key (list u8)) (export "of-the-guest" (type (eq $key)))`));
  });

  it("are nobody's business where the host does not know the interface", async () => {
    await accepted(`(component (import "test:guest/fields@0.2.0" (instance (export "append" (func (param "a" u8))))))`);
    await accepted(`(component (import "append" (func (param "a" u8))))`);
  });

  it("are refused when a parameter is another than the host's", async () => {
    const inner = `(type $ir (record (field "length" u32))) (export "inner" (type $inner (eq $ir)))
      (type $or (record (field "buffer" $inner))) (export "outer" (type $outer (eq $or)))`;
    await refused(
      taking(inner + append("$outer")),
      /takes '\[method\]fields\.append' of wasi:http\/types@0\.2\.3 as func\(borrow<[^>]+>, string, record \{buffer: record \{length: u32\}\}\).+, where this host has .+ list<u8>\)/,
    );
    await refused(taking(append("string")), /as .+string, string\).+where this host has .+list<u8>/);
    await refused(taking(append("(list u8)", "(list u8)")), /-> list<u8>, where this host has .+ -> result</);
  });

  it("are refused when a case, a field or a resource is another", async () => {
    const other = headerError.replace("forbidden", "forbade");
    await refused(taking(append("(list u8)").replace(headerError, other)), /'header-error' of .+forbade.+forbidden/);
    await refused(
      taking(
        append("(list u8)")
          .replace("borrow $fields", "borrow $out")
          .replace("fields.append", "response-outparam.append"),
      ),
      /takes '\[method\]response-outparam\.append' of wasi:http\/types@0\.2\.3, which this host does not have/,
    );
    await refused(
      `(component (import "wasi:http/types@0.2.3" (instance $t ${resources}))
        (alias export $t "fields" (type $fields))
        (import "wasi:io/error@0.2.3" (instance (export "error" (type (eq $fields))))))`,
      /takes 'error' of wasi:io\/error@0\.2\.3 as wasi:http\/types@0\.2#fields, where this host has wasi:io\/error@0\.2#error/,
    );
  });

  it("are refused when the host has no such function or resource", async () => {
    await refused(
      taking(`(export "to-string" (func (result string)))`),
      /'to-string' of .+ which this host does not have/,
    );
    await refused(taking(`(export "object" (type (sub resource)))`), /'object' of .+ which this host does not have/);
  });

  it("are refused when a resource is of no interface", async () => {
    await refused(`(component (import "constructor" (type (sub resource))))`, /takes 'constructor' by itself/);
    await refused(
      `(component (type $c (component)) (import "other" (component (type $c))))`,
      /takes 'other' by itself/,
    );
    await accepted(taking("", `(alias export $t "fields" (type $f)) (import "headers" (type (eq $f)))`));
  });

  it("are looked at in what the component gives, through the components inside it", async () => {
    await accepted(handler("(list u8)"));
    await refused(
      handler("string"),
      /gives 'handle' of outrigger:runtime\/handler@0\.1\.0 as .+ body: string\}, where this host has .+ body: list<u8>\}/,
    );
  });

  it("are refused when the component gives too little, or a resource of its own for one of the host's", async () => {
    await refused(
      `(component (instance $none) (export "outrigger:runtime/handler@0.1.0" (instance $none)))`,
      /gives outrigger:runtime\/handler@0\.1\.0 without 'handle', which would be func\(record/,
    );
    await refused(
      `(component (type $mine (resource (rep i32)))
        (core module $m (func (export "run") (param i32 i32))) (core instance $i (instantiate $m))
        (func $run (param "request" (own $mine)) (param "response-out" (own $mine)) (canon lift (core func $i "run")))
        (component $shim (import "r" (type $r (sub resource)))
          (import "run" (func $f (param "request" (own $r)) (param "response-out" (own $r))))
          (export "handle" (func $f)))
        (instance $given (instantiate $shim (with "r" (type $mine)) (with "run" (func $run))))
        (export "mine" (type $mine))
        (export "wasi:http/incoming-handler@0.2.3" (instance $given)))`,
      /gives 'handle' of wasi:http\/incoming-handler@0\.2\.3 as func\(own<resource 1 of its own>.+wasi:http\/types@0\.2#incoming-request/,
    );
  });

  it("are compared in bounded time when they grow without bounds", async () => {
    const doubled = Array.from({ length: 60 }, (_, i) => `(type $t${i + 1} (tuple $t${i} $t${i}))`).join(" ");
    await refused(taking(`(type $t0 (list u8)) ${doubled} ${append("$t60")}`), /a type that is too large to compare/);
  });

  it("are those of guests that compilers make", async () => {
    const source = "export const handler = { handle: () => ({ status: 204, headers: [], body: new Uint8Array() }) };";
    const wit =
      "package test:types; world w { import outrigger:runtime/state@0.1.0; export outrigger:runtime/handler@0.1.0; }";
    check(await componentGuest({ source, wit, world: "w" }));
  });
});
