/** A message that cannot be read as HTTP/1.1, or only in more than one way. Its connection carries nothing more. */
export class MessageFault extends Error {
  /** What a server answers. */
  readonly status: number;
  /** In a word or two, for the access log. */
  readonly details: string;

  constructor(status: number, details: string, message: string) {
    super(message);
    this.name = "MessageFault";
    this.status = status;
    this.details = details;
  }
}

/** The fault of most messages: what came does not follow the grammar. */
export function malformed(message: string): MessageFault {
  return new MessageFault(400, "malformed_request", message);
}
