/** The images and files that come with a message, decoded from whatever form the client sent them in. */

export interface DecodedImage {
  readonly bytes: Uint8Array;
  readonly extension: string;
  readonly mimeType: string;
}

export interface DecodedFile {
  readonly bytes: Uint8Array;
  readonly kind: "pdf" | "text";
  readonly extension: string;
  /** The client's name for the file, or one made from its extension; never empty. */
  readonly name: string;
}

/** The text of a text file. */
export const fileText = ({ bytes }: DecodedFile): string => new TextDecoder().decode(bytes);
