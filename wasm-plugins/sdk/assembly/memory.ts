// Memory that the host and the guest hand each other. What the host returns it writes into a block it got from
// `allocate`; the block is an ordinary object of the collector, pinned until the guest takes it over.

/** Where hostcalls write what they return: a pointer, a size and a number (8 bytes, aligned). */
export const returnPointer: usize = memory.data(16, 8);
export const returnSize: usize = returnPointer + 4;
export const returnNumber: usize = returnPointer + 8;

const nothing = new ArrayBuffer(0);

/** A block for the host, which the collector leaves alone until it is taken. */
export function allocate(size: usize): usize {
  return __pin(__new(size, idof<ArrayBuffer>()));
}

/** Forgets what the last hostcall returned; call it before one that returns a block. */
export function clearReturned(): void {
  store<usize>(returnPointer, 0);
  store<usize>(returnSize, 0);
}

/** Takes the block that the last hostcall returned; empty when it returned none. */
export function takeReturned(): ArrayBuffer {
  const pointer = load<usize>(returnPointer);
  if (pointer == 0) return nothing;
  const size = load<i32>(returnSize);
  const block = changetype<ArrayBuffer>(pointer);
  __unpin(pointer);
  clearReturned();
  return block.byteLength == size ? block : block.slice(0, size);
}
