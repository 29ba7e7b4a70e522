/** The forms a sample configuration can have. */
export const SAMPLE_FORMATS = ['yaml', 'ts'] as const;
export type SampleFormat = (typeof SAMPLE_FORMATS)[number];
