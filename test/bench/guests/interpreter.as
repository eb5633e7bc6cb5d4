// A machine with a program: one switch in a loop, as script engines have it.
const program = memory.data<u8>([0, 100, 3, 4, 0, 7, 1, 5, 2, 6, 8, 3, 7, 2, 9]);

export function interpreter(steps: i32): i32 {
  let pc = 0;
  let a = 0;
  let b = 1;
  let c = 0;
  for (let step = 0; step < steps; step++) {
    switch (load<u8>(program + pc)) {
      case 0:
        a += <i32>load<u8>(program + pc + 1);
        pc += 2;
        break;
      case 1:
        b ^= a;
        pc += 1;
        break;
      case 2:
        c += b;
        pc += 1;
        break;
      case 3:
        a = a * 31 + c;
        pc += 1;
        break;
      case 4:
        b = rotl<i32>(b, 5);
        pc += 1;
        break;
      case 5:
        if (a & 1) c ^= a;
        pc += 1;
        break;
      case 6:
        a -= b;
        pc += 1;
        break;
      case 7:
        c = c ^ (b >> 3);
        pc += 1;
        break;
      case 8:
        b += 12345;
        pc += 1;
        break;
      default:
        pc = 0;
        break;
    }
  }
  return a ^ b ^ c;
}
