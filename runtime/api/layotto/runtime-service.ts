import { RuntimeService } from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { defineService, type GrpcService } from "../../grpc/service.ts";
import type { BindingBlock } from "../binding.ts";
import type { ConfigBlock } from "../config.ts";
import type { FileBlock } from "../file.ts";
import { sayHello } from "../hello.ts";
import type { InvokeBlock } from "../invoke.ts";
import type { LockBlock } from "../lock.ts";
import type { PubSubBlock } from "../pubsub.ts";
import type { SecretBlock } from "../secret.ts";
import type { SequencerBlock } from "../sequencer.ts";
import type { StateBlock } from "../state.ts";
import { bindingMethods } from "./binding-methods.ts";
import { configMethods } from "./config-methods.ts";
import { fileMethods } from "./file-methods.ts";
import { invokeMethods } from "./invoke-methods.ts";
import { lockMethods } from "./lock-methods.ts";
import { pubsubMethods } from "./pubsub-methods.ts";
import { secretMethods } from "./secret-methods.ts";
import { sequencerMethods } from "./sequencer-methods.ts";
import { stateMethods } from "./state-methods.ts";

/** The building blocks that the service speaks for. */
export interface Blocks {
  readonly state: StateBlock;
  readonly pubsub: PubSubBlock;
  readonly config: ConfigBlock;
  readonly lock: LockBlock;
  readonly sequencer: SequencerBlock;
  readonly secret: SecretBlock;
  readonly file: FileBlock;
  readonly binding: BindingBlock;
  readonly invoke: InvokeBlock;
}

/** `spec.proto.runtime.v1.Runtime`: Layotto's names for the building blocks. What has no handler is UNIMPLEMENTED. */
export function createRuntimeService(blocks: Blocks): GrpcService {
  return defineService(RuntimeService, {
    async sayHello({ name, data }) {
      return { hello: sayHello({ name }), data };
    },
    ...stateMethods(blocks.state),
    ...pubsubMethods(blocks.pubsub),
    ...configMethods(blocks.config),
    ...lockMethods(blocks.lock),
    ...sequencerMethods(blocks.sequencer),
    ...secretMethods(blocks.secret),
    ...fileMethods(blocks.file),
    ...bindingMethods(blocks.binding),
    ...invokeMethods(blocks.invoke),
  });
}
