import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AddressGuard } from "./address-guard.ts";

const closed = [
  "0.0.0.0",
  "10.1.2.3",
  "100.64.0.1",
  "127.0.0.53",
  "169.254.169.254",
  "172.31.255.255",
  "192.168.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::ffff:10.0.0.1",
  "::ffff:a9fe:a9fe",
  "64:ff9b::a9fe:a9fe",
  "2002:a00:1::",
  "fd00:ec2::254",
  "fe80::1",
  "ff02::1",
];
const open = ["8.8.8.8", "172.32.0.1", "169.253.0.1", "2606:4700::1111", "::ffff:8.8.8.8"];

describe("the guard of addresses", () => {
  it("lets nobody be led to addresses that are not of the open internet", () => {
    const guard = new AddressGuard(false);
    assert.deepEqual(
      closed.filter((address) => guard.allows(address)),
      [],
    );
    assert.deepEqual(
      open.filter((address) => !guard.allows(address)),
      [],
    );
    assert.ok(!guard.allows("no address"));
  });

  it("lets through what is allowed: all, networks or single addresses", () => {
    const all = new AddressGuard(true);
    assert.deepEqual(
      closed.filter((address) => !all.allows(address)),
      [],
    );
    const some = new AddressGuard(["10.0.0.0/8", "fd00::/8", "192.168.0.1"]);
    const through = closed.filter((address) => some.allows(address));
    assert.deepEqual(through, ["10.1.2.3", "192.168.0.1", "::ffff:10.0.0.1", "fd00:ec2::254"]);
  });

  it("judges names by all of their addresses, whether one or a list is wanted", async () => {
    const find = (guard: AddressGuard, all: boolean): Promise<unknown> =>
      new Promise((resolve, reject) =>
        guard.lookup("localhost", { all }, (error, found) => (error === null ? resolve(found) : reject(error))),
      );
    for (const all of [true, false]) {
      await assert.rejects(find(new AddressGuard(false), all), /it leads to localhost, which has a private address/);
    }
    assert.equal(await find(new AddressGuard(["127.0.0.0/8"]), false), "127.0.0.1");
    assert.deepEqual(await find(new AddressGuard(["127.0.0.0/8"]), true), [{ address: "127.0.0.1", family: 4 }]);
  });
});
