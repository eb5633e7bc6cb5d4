export const writeLater = (): Promise<void> => Promise.resolve();

export class Writer {
  async write(): Promise<void> {}
}
