# Identities as Terraform's AWS provider manages them.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {}
variable "path" { default = "/staff/" }

provider "aws" {
  region                      = "us-east-1"
  skip_metadata_api_check     = true
  skip_region_validation      = true
  endpoints {
    iam     = var.endpoint
    sts     = var.endpoint
    kinesis = var.endpoint
  }
}

data "aws_caller_identity" "me" {}

data "aws_iam_policy_document" "read" {
  statement {
    actions   = ["kinesis:Get*", "kinesis:Describe*", "kinesis:List*"]
    resources = ["arn:aws:kinesis:*:${data.aws_caller_identity.me.account_id}:stream/orders"]
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_user.ada.arn]
    }
  }
}

resource "aws_iam_policy" "read" {
  name        = "tf-read"
  path        = "/data/"
  description = "reads"
  policy      = data.aws_iam_policy_document.read.json
  tags        = { by = "terraform" }
}

resource "aws_iam_user" "ada" {
  name                 = "tf-ada"
  path                 = var.path
  force_destroy        = true
  permissions_boundary = "arn:aws:iam::aws:policy/AdministratorAccess"
  tags                 = { team = "blue", path = var.path }
}

resource "aws_iam_access_key" "ada" {
  user = aws_iam_user.ada.name
}

resource "aws_iam_user_policy" "put" {
  name   = "put"
  user   = aws_iam_user.ada.name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "kinesis:PutRecord", Resource = "*" }]
  })
}

resource "aws_iam_user_policy_attachment" "read" {
  user       = aws_iam_user.ada.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_group" "readers" {
  name = "tf-readers"
}

resource "aws_iam_group_policy_attachment" "read" {
  group      = aws_iam_group.readers.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonKinesisReadOnlyAccess"
}

resource "aws_iam_group_policy" "more" {
  name   = "more"
  group  = aws_iam_group.readers.name
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_group_membership" "readers" {
  name  = "readers"
  group = aws_iam_group.readers.name
  users = [aws_iam_user.ada.name]
}

resource "aws_iam_role" "reader" {
  name                 = "tf-reader"
  description          = "reads at night"
  max_session_duration = 7200
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = aws_iam_policy.read.arn
  tags                 = { by = "terraform" }
}

resource "aws_iam_role_policy" "inline" {
  name   = "inline"
  role   = aws_iam_role.reader.id
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_role_policy_attachment" "read" {
  role       = aws_iam_role.reader.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_openid_connect_provider" "ci" {
  url             = "https://issuer.example.com"
  client_id_list  = ["ci"]
  thumbprint_list = ["0000000000000000000000000000000000000000"]
}

resource "aws_iam_account_alias" "alias" {
  account_alias = "millstream-test"
}
