const plain = /^(?! )[ -$&-~]*(?<! )$/;
const notPlain = /^ +|[^ -$&-~]+| +$/gu;

/**
 * A status message as `grpc-message` carries it: everything but printable ASCII percent-encoded as UTF-8, and `%` too. So are
 * blanks at either end, with which a field's value would not be one (RFC 9113, section 8.2.1).
 */
export function encodeStatusMessage(message: string): string {
  if (plain.test(message)) return message;
  return message.toWellFormed().replace(notPlain, percentEncode);
}

const percentEncode = (text: string): string => {
  let encoded = "";
  for (const octet of Buffer.from(text)) encoded += `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  return encoded;
};
