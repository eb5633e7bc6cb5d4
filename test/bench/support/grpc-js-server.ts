/** The gRPC API of a configuration, with the handlers of the sidecar, on grpc-js: what our own transport is compared with. */
import { catalog } from "../../../components/catalog.ts";
import { BindingBlock } from "../../../runtime/api/binding.ts";
import { createConfig } from "../../../runtime/api/config.ts";
import { createFiles } from "../../../runtime/api/file.ts";
import { createInvoke } from "../../../runtime/api/invoke.ts";
import { createRuntimeService } from "../../../runtime/api/layotto/runtime-service.ts";
import { createLock } from "../../../runtime/api/lock.ts";
import { PubSubBlock } from "../../../runtime/api/pubsub.ts";
import { createSecrets } from "../../../runtime/api/secret.ts";
import { createSequencer } from "../../../runtime/api/sequencer.ts";
import { createState } from "../../../runtime/api/state.ts";
import { loadConfiguration } from "../../../runtime/config/load.ts";
import { openHealth } from "../../../runtime/grpc/health.ts";
import { reflectionServices } from "../../../runtime/grpc/reflection.ts";
import { openComponents } from "../../../runtime/open-components.ts";
import { createLog } from "../../../runtime/telemetry/log.ts";
import { Metrics } from "../../../runtime/telemetry/metrics.ts";
import { grpcJsTransport } from "../../support/grpc-js/grpc-js-transport.ts";

const [file] = process.argv.slice(2);
const loaded = await loadConfiguration(file, { known: catalog, environment: process.env });
const { app, api, log: logging } = loaded.configuration;
const log = createLog({ level: logging.level });
const metrics = new Metrics();
const components = await openComponents(loaded, catalog, { log, metrics });
const unreachable = () => Promise.reject(new Error("nothing is invoked here"));
const service = createRuntimeService({
  state: createState(components.storesOf("state")),
  config: createConfig(components.storesOf("config")),
  lock: createLock(components.storesOf("lock")),
  sequencer: createSequencer(components.storesOf("sequencer")),
  secret: createSecrets(components.storesOf("secret")),
  file: createFiles(components.storesOf("object")),
  binding: new BindingBlock({ stores: components.storesOf("binding"), log, metrics }),
  invoke: createInvoke({ names: () => [], http: unreachable, grpc: unreachable }),
  pubsub: new PubSubBlock({ stores: components.storesOf("pubsub"), appId: app.id, log, metrics }),
});
const names = ["spec.proto.runtime.v1.Runtime", "grpc.health.v1.Health"];
const health = openHealth(names);
const { addresses } = await grpcJsTransport.serve({
  addresses: api.grpc,
  services: [service, health.service, ...reflectionServices(names)],
  maxMessageBytes: api.maxMessageBytes,
  appId: app.id,
  log,
  metrics,
});
health.set(true);
console.log(`serves: gRPC ${addresses.join(" and ")},`);
