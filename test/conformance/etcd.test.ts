/** Every kind of component on etcd. */
import { startEtcd } from "../support/etcd-server.ts";
import { withServer } from "./matrix.ts";

await withServer("etcd", startEtcd, (server) => {
  const settings = () => ({ endpoints: [server().address] });
  return [
    { kind: "state", type: "etcd", settings },
    { kind: "config", type: "etcd", settings },
    { kind: "lock", type: "etcd", settings },
    { kind: "sequencer", type: "etcd", settings },
  ];
});
