import { describeRotation } from './ech-rotation.ts';

describeRotation('portable');
