/** The largest module that is taken. */
export const maxModuleBytes = 256 * 1024 ** 2;
