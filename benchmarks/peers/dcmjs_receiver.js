// A storage SCP of dcmjs-dimse: node dcmjs_receiver.js PORT FOLDER
// Datasets are read and written anew, which is what the library offers.

const path = require('path');
const { Scp, Server, constants, responses, log } = require('dcmjs-dimse');
const { CEchoResponse, CStoreResponse } = responses;
const { PresentationContextResult, Status, TransferSyntax } = constants;

const [port, folder] = process.argv.slice(2);
const HOUR = 3600 * 1000;

log.level = 'error';

class Receiver extends Scp {
  constructor(socket, opts) {
    super(socket, opts);
    socket.setNoDelay(true);
  }

  associationRequested(association) {
    association.setMaxPduLength(131072);
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const offered = context.getTransferSyntaxUids();
      const chosen = [
        TransferSyntax.ExplicitVRLittleEndian,
        TransferSyntax.ImplicitVRLittleEndian,
      ].find((uid) => offered.includes(uid));
      if (chosen) {
        context.setResult(PresentationContextResult.Accept, chosen);
      } else {
        context.setResult(PresentationContextResult.RejectTransferSyntaxesNotSupported);
      }
    }
    this.sendAssociationAccept();
  }

  cEchoRequest(request, callback) {
    const response = CEchoResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
  }

  cStoreRequest(request, callback) {
    const response = CStoreResponse.fromRequest(request);
    const name = `${request.getAffectedSopInstanceUid()}.dcm`;
    request.getDataset().toFile(path.join(folder, name), (error) => {
      response.setStatus(error ? Status.ProcessingFailure : Status.Success);
      callback(response);
    });
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

const server = new Server(Receiver);
server.on('networkError', () => {});
server.listen(Number(port), { associationTimeout: HOUR, pduTimeout: HOUR });
