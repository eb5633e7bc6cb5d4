/** The octets of HTTP/1.1's grammar (RFC 9110, section 5.6; RFC 9112, section 2). */
export const tab = 0x09;
export const lineFeed = 0x0a;
export const carriageReturn = 0x0d;
export const space = 0x20;
export const colon = 0x3a;
export const semicolon = 0x3b;

/** 1 for each octet of a token: names of fields and methods. */
export const isTokenOctet: Uint8Array = tableOf(/[!#$%&'*+\-.^_`|~0-9A-Za-z]/);
/** 1 for each octet that may stand in a line: blanks, visible ones and those above ASCII; no controls. */
export const isLineOctet: Uint8Array = tableOf(/[\t\x20-\x7e\x80-\xff]/);
/** The value of a hexadecimal digit, 255 for every other octet. */
export const hexValue: Uint8Array = Uint8Array.from({ length: 256 }, (_, octet) => {
  const digit = Number.parseInt(String.fromCharCode(octet), 16);
  return Number.isNaN(digit) ? 255 : digit;
});

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Whether the text is a token, such as the name of a method. */
export function isToken(text: string): boolean {
  return token.test(text);
}

function tableOf(allowed: RegExp): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, octet) => (allowed.test(String.fromCharCode(octet)) ? 1 : 0));
}
