import { describeFunctionsOf } from './conformance.ts';

describeFunctionsOf('linux');
