/** Data shared by the guests of one VM id. `cas` changes with every write and is never 0. */
export interface SharedData {
  get(key: string): { readonly value: Uint8Array; readonly cas: number } | undefined;
  /** Writes when `cas` is 0, the key is missing or `cas` is current; false otherwise. Throws RangeError at the size limit. */
  set(key: string, value: Uint8Array | undefined, cas: number): boolean;
}

/** Who registered a queue. */
export interface QueueConsumer {
  /** Told of each item that is put in while nobody registered the queue later; it must not enter a guest within this. */
  ready(token: number): void;
}

/** Queues between guests. Tokens are never 0, and stay the same for as long as the process runs. */
export interface SharedQueues {
  /** The queue of that name of the own VM id, made when there is none. Disposing ends the telling; the items stay. Throws RangeError when there are too many. */
  register(name: string, consumer: QueueConsumer): { readonly token: number } & Disposable;
  /** The token of a registered queue; an empty VM id is the own. */
  resolve(vmId: string, name: string): number | undefined;
  /** False when there is no such queue. Throws RangeError when it is full. */
  enqueue(token: number, bytes: Uint8Array): boolean;
  /** The oldest item; undefined when there is no such queue. */
  dequeue(token: number): Uint8Array | "empty" | undefined;
}
