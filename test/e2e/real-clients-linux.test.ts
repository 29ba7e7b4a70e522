import { describeRealClients } from './real-clients.ts';

describeRealClients('linux');
