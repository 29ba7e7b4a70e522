import { describeEchMatrix } from './ech-matrix.ts';

describeEchMatrix('portable');
