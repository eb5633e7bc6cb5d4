// Two plugins in one module: `writer` puts the path of each request into a queue, `reader` takes it out, in a plugin of its own
// that no traffic waits for. The manifests choose by `rootId`, and find each other by `vmId`.
import { Action, decodeText, encodeText, Filter, log, Plugin, register, registerRoot, SharedQueue } from "@outrigger/plugin";

const vmId = "mail";
const queueName = "paths";

class Writer extends Filter {
  onRequestHeaders(endOfStream: bool): Action {
    const queue = SharedQueue.resolve(vmId, queueName);
    if (!queue.ok) {
      log.warn(queue.toString()); // nobody registered it yet
      return Action.Continue;
    }
    const put = queue.value.enqueue(encodeText(this.request.headers.getOr(":path", "")));
    if (!put.ok) log.warn(put.toString()); // full
    return Action.Continue;
  }
}

class Reader extends Plugin {
  private queue: SharedQueue | null = null;
  private taken: i32 = 0;

  onConfigure(configuration: Uint8Array): bool {
    const registered = SharedQueue.register(queueName);
    if (!registered.ok) {
      log.error(registered.toString());
      return false;
    }
    this.queue = registered.value;
    return true;
  }

  onQueueReady(queueId: u32): void {
    const queue = this.queue;
    if (queue === null || queue.id != queueId) return;
    // Several messages may have come, or another taker may have been faster.
    for (let message = queue.dequeue(); message !== null; message = queue.dequeue()) {
      this.taken++;
      log.info("message " + this.taken.toString() + ": " + decodeText(message));
    }
  }
}

register<Writer>("writer");
registerRoot<Reader>("reader");
