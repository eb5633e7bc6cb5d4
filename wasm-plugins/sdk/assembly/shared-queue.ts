import {
  proxy_dequeue_shared_queue,
  proxy_enqueue_shared_queue,
  proxy_register_shared_queue,
  proxy_resolve_shared_queue,
} from "./abi";
import { AbiStatus } from "./abi-types";
import { lendName, lendValue, lentName, lentNameSize, lentValue, lentValueSize } from "./lent-text";
import { clearReturned, returnNumber, returnPointer, returnSize, takeReturned } from "./memory";
import { failure, Result, Status, statusOf, success } from "./status";

/**
 * Messages that plugins hand each other, first in, first out, each to one taker. They are gone when the process ends. A plugin
 * that takes registers the queue in `onConfigure`, and `onQueueReady` tells it that a message came; one that gives looks it up.
 */
export class SharedQueue {
  private constructor(
    /** What `onQueueReady` names the queue by. */
    readonly id: u32,
  ) {}

  /** The queue of that name of the plugin's own VM id, made when it is not there. From now on this plugin is told of messages. */
  static register(name: string): Result<SharedQueue> {
    lendName(name);
    store<u32>(returnNumber, 0);
    return SharedQueue.of(proxy_register_shared_queue(lentName, lentNameSize, returnNumber), name);
  }

  /** The queue that a plugin with that VM id registered; an empty id is the own one. NOT_FOUND as long as nobody did. */
  static resolve(vmId: string, name: string): Result<SharedQueue> {
    lendName(vmId);
    lendValue(name);
    store<u32>(returnNumber, 0);
    return SharedQueue.of(
      proxy_resolve_shared_queue(lentName, lentNameSize, lentValue, lentValueSize, returnNumber), name,
    );
  }

  private static of(answer: AbiStatus, name: string): Result<SharedQueue> {
    if (answer == AbiStatus.Ok) return success(new SharedQueue(load<u32>(returnNumber)));
    const status = statusOf(answer, "shared queue '" + name + "'");
    return failure<SharedQueue>(status.code, status.message);
  }

  /** Puts a message at the end. INTERNAL when the queue is full. */
  enqueue(message: Uint8Array): Status {
    return statusOf(
      proxy_enqueue_shared_queue(this.id, message.dataStart, message.byteLength), "shared queue " + this.id.toString(),
    );
  }

  /** Takes the message that came first; null when there is none, maybe because another taker was faster. */
  dequeue(): Uint8Array | null {
    clearReturned();
    const answer = proxy_dequeue_shared_queue(this.id, returnPointer, returnSize);
    return answer == AbiStatus.Ok ? Uint8Array.wrap(takeReturned()) : null;
  }
}
