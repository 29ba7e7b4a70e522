import { describeEchConditions } from './ech-conditions.ts';

describeEchConditions('linux');
